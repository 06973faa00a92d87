/** OpenTelemetry, as a collector sees it: a tiny one receives what a real distributor exports. */

import { assert, assertEquals } from "@std/assert";
import { startMockAnalyzer } from "../../analyzers/mock_analyzer.ts";
import { needsSource } from "../support/from_source.ts";
import { eventually } from "../support/eventually.ts";
import { startDistributorProgram } from "../support/program.ts";

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly links?: readonly { readonly spanId: string }[];
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

/** Receives OTLP as JSON over HTTP. */
class Collector {
  readonly spans: Span[] = [];
  readonly metrics = new Set<string>();
  readonly #end = new AbortController();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: this.#end.signal, onListen() {} },
    (request) => this.#take(request),
  ) as Deno.HttpServer<Deno.NetAddr>;

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The exporter keeps its connection, for which a shutdown would wait.
    this.#end.abort();
    await this.#server.finished;
  }

  async #take(request: Request): Promise<Response> {
    const body = await request.json();
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
    for (const { scopeMetrics } of body.resourceMetrics ?? []) {
      for (const { metrics } of scopeMetrics) {
        for (const { name } of metrics) this.metrics.add(name);
      }
    }
    return Response.json({});
  }
}

/** A distributor that exports to a collector, with one analyzer. */
async function setUp() {
  const collector = new Collector();
  const analyzer = await startMockAnalyzer({ id: "analyzer1" });
  const { program, url } = await startDistributorProgram(["--health-check-interval=1h"], {
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    },
  });
  await post(`${url}/api/v1/analyzers`, { id: "analyzer1", url: analyzer.url, weight: 1 });
  return {
    collector,
    analyzer,
    url,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await analyzer.close();
      await collector[Symbol.asyncDispose]();
    },
  };
}

function attributesOf(span: Span): Record<string, unknown> {
  return Object.fromEntries(
    span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
  );
}

/** The deliveries so far. */
function deliveries(collector: Collector) {
  return collector.spans.filter(({ name }) => name === "deliver").map((span) => {
    const attributes = attributesOf(span);
    return {
      span,
      outcome: attributes["distributor.outcome"],
      packets: Number(attributes["distributor.packets"]),
      attempt: Number(attributes["distributor.attempt"]),
    };
  });
}

/** The span of the request that brought a packet. */
function requestOf(collector: Collector, packetId: string): Promise<Span> {
  return eventually(
    () => collector.spans.find((span) => attributesOf(span)["distributor.packet_id"] === packetId),
    { name: `the span of the request of ${packetId} arrives` },
  ) as Promise<Span>;
}

Deno.test({
  name: "telemetry goes from accept to delivery in one trace, with our metrics",
  ignore: needsSource("telemetry"),
  fn: async () => {
    await using system = await setUp();
    const { collector, url } = system;
    await post(`${url}/api/v1/logs`, { packet_id: "traced", log_messages: [{}, {}] });
    const delivery = await eventually(() => deliveries(collector)[0]?.span, {
      name: "the span of the delivery arrives",
    });
    const attributes = attributesOf(delivery!);
    assertEquals(attributes["distributor.outcome"], "delivered");
    assertEquals(attributes["distributor.analyzer"], "analyzer1");
    assertEquals(Number(attributes["distributor.messages"]), 2);
    const parent = await requestOf(collector, "traced");
    assertEquals([parent.spanId, parent.traceId], [delivery!.parentSpanId, delivery!.traceId]);
    assertEquals(delivery!.links?.map(({ spanId }) => spanId), [parent.spanId]);
    await eventually(
      () =>
        collector.metrics.has("distributor.packets.accepted") &&
        collector.metrics.has("distributor.analyzer.share.actual"),
      { name: "our metrics arrive" },
    );
  },
});

Deno.test({
  name: "telemetry has one span a batch, linked to all requests, and one for each further try",
  ignore: needsSource("telemetry"),
  fn: async () => {
    await using system = await setUp();
    const { collector, analyzer, url } = system;
    await post(`${url}/api/v1/analyzers/analyzer1`, { paused: true }, "PATCH");
    const ids = Array.from({ length: 20 }, (_, i) => `b${i}`);
    for (const id of ids) await post(`${url}/api/v1/logs`, { packet_id: id, log_messages: [{}] });
    await post(`${url}/api/v1/analyzers/analyzer1`, { paused: false }, "PATCH");
    const batch = await eventually(
      () => deliveries(collector).find(({ packets }) => packets > 1),
      { name: "the span of a batch arrives" },
    );
    const requests = await Promise.all(ids.map((id) => requestOf(collector, id)));
    const links = new Set(batch!.span.links?.map(({ spanId }) => spanId));
    assertEquals(links.size, batch!.packets);
    const linked = requests.filter(({ spanId }) => links.has(spanId));
    assertEquals(linked.length, batch!.packets, "each is one of our requests");
    assert(linked.some(({ traceId }) => traceId === batch!.span.traceId));

    analyzer.faults.set({ errorRate: 1, errorCode: 500 });
    await post(`${url}/api/v1/logs`, { packet_id: "again", log_messages: [{}] });
    const { traceId } = await requestOf(collector, "again");
    const own = () => deliveries(collector).filter(({ span }) => span.traceId === traceId);
    await eventually(() => own().length > 0, { name: "the first attempt arrives" });
    analyzer.faults.clear();
    await eventually(() => own().some(({ outcome }) => outcome === "delivered"), {
      name: "it is delivered in the end",
    });
    const attempts = own();
    assert(attempts.length >= 2);
    const numbers = attempts.map(({ attempt }) => attempt).toSorted((a, b) => a - b);
    assertEquals(numbers, numbers.map((_, i) => i + 1));
  },
});

async function post(url: string, body: unknown, method = "POST"): Promise<void> {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  assert(response.ok, `${url} answers ${response.status}`);
}
