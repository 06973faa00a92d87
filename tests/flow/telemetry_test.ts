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

Deno.test({
  name: "telemetry goes from accept to delivery in one trace, with our metrics",
  ignore: needsSource("telemetry"),
  fn: async () => {
    await using collector = new Collector();
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
    try {
      await post(`${url}/api/v1/analyzers`, { id: "analyzer1", url: analyzer.url, weight: 1 });
      await post(`${url}/api/v1/logs`, { packet_id: "traced", log_messages: [{}, {}] });
      const delivery = await eventually(
        () => collector.spans.find(({ name }) => name === "deliver"),
        {
          name: "the span of the delivery arrives",
        },
      );
      const attributes = Object.fromEntries(
        delivery!.attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
      );
      assertEquals(attributes["distributor.outcome"], "delivered");
      assertEquals(attributes["distributor.analyzer"], "analyzer1");
      assertEquals(Number(attributes["distributor.messages"]), 2);
      const parent = await eventually(
        () => collector.spans.find(({ spanId }) => spanId === delivery!.parentSpanId),
        { name: "the span of the request arrives" },
      );
      assertEquals(parent!.traceId, delivery!.traceId);
      assertEquals(delivery!.links?.map(({ spanId }) => spanId), [parent!.spanId]);
      assert(
        parent!.attributes.some(({ key, value }) =>
          key === "distributor.packet_id" && value.stringValue === "traced"
        ),
      );
      await eventually(
        () =>
          collector.metrics.has("distributor.packets.accepted") &&
          collector.metrics.has("distributor.analyzer.share.actual"),
        { name: "our metrics arrive" },
      );
    } finally {
      await program[Symbol.asyncDispose]();
      await analyzer.close();
    }
  },
});

async function post(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  assert(response.ok, `${url} answers ${response.status}`);
}
