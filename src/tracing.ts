/**
 * Spans and metrics for OpenTelemetry, through what the runtime has built in (`OTEL_DENO=true`).
 *
 * The runtime makes a span of each request to us. To it we add one span an attempt, linked to the
 * request of each packet in it. Off, none of this exists: whoever would call it has nothing to call.
 */

import type { Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";

/** As in @opentelemetry/api, which the runtime's own parts are compatible with. */
const SPAN_KEY = Symbol.for("OpenTelemetry Context Key SPAN");
const KIND_PRODUCER = 3;
const STATUS_ERROR = 2;
/** A span with more links than this is cut by collectors; the first say enough. */
const MAX_LINKS = 128;

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

interface Span {
  spanContext(): SpanContext;
  setAttribute(name: string, value: string | number): void;
  setStatus(status: { code: number; message?: string }): void;
  end(): void;
}

interface Result {
  observe(instrument: unknown, value: number, attributes?: Record<string, string>): void;
}

/** What is observed when metrics are exported. */
export interface Observed {
  readonly received: { readonly packets: number; readonly messages: number };
  readonly delivered: { readonly packets: number };
  readonly queued: { readonly packets: number };
  readonly in_flight: { readonly packets: number };
  readonly dead_letters: number;
  readonly retries: number;
  readonly analyzers: readonly {
    readonly id: string;
    readonly eligible: boolean;
    readonly delivered: { readonly messages: number };
    readonly share: { readonly target: number; readonly actual: number };
  }[];
}

/** One attempt's span. */
export interface AttemptSpan {
  end(outcome: Outcome): void;
}

export class Tracing {
  // deno-lint-ignore no-explicit-any
  readonly #tracer: any;
  readonly #origins = new WeakMap<Packet, SpanContext>();

  /** @param version of the distributor, for the instrumentation's scope */
  constructor(version: string) {
    this.#tracer = Deno.telemetry.tracerProvider.getTracer("distributor", version);
  }

  /** Notes the request in which a packet came; called within it. */
  accepted(packet: Packet): void {
    const span: Span | undefined = Deno.telemetry.contextManager.active()?.getValue(SPAN_KEY);
    const context = span?.spanContext();
    if (!context) return;
    span?.setAttribute("distributor.packet_id", packet.id);
    this.#origins.set(packet, context);
  }

  /** Begins the span of an attempt; in the trace of the first packet, linked to all. */
  begin(packets: readonly [Packet, ...Packet[]], analyzer: string): AttemptSpan {
    const origins = packets.slice(0, MAX_LINKS)
      .map((packet) => this.#origins.get(packet))
      .filter((context) => context !== undefined);
    const span: Span = this.#tracer.startSpan("deliver", {
      kind: KIND_PRODUCER,
      links: origins.map((context) => ({ context })),
      attributes: {
        "distributor.analyzer": analyzer,
        "distributor.packets": packets.length,
        "distributor.messages": packets.reduce((sum, { messages }) => sum + messages, 0),
        "distributor.attempt": packets[0].attempts + 1,
      },
    }, this.#contextOf(origins[0]));
    return {
      end(outcome) {
        span.setAttribute("distributor.outcome", outcome.kind);
        if (outcome.kind !== "delivered") {
          span.setStatus({ code: STATUS_ERROR, message: outcome.detail });
        }
        span.end();
      },
    };
  }

  /** Shows our counters beside the runtime's metrics. */
  showMetrics(read: () => Observed): void {
    const meter = Deno.telemetry.meterProvider.getMeter("distributor");
    const create = (name: string, kind: Kind) =>
      kind === "counter" ? meter.createObservableCounter(name) : meter.createObservableGauge(name);
    const totals = COUNTERS.map(([name, kind, value]) => ({
      instrument: create(`distributor.${name}`, kind),
      value,
    }));
    const byAnalyzer = BY_ANALYZER.map(([name, kind, value]) => ({
      instrument: create(`distributor.analyzer.${name}`, kind),
      value,
    }));
    // All at once, so that what is exported is of one moment.
    meter.addBatchObservableCallback((result: Result) => {
      const observed = read();
      for (const { instrument, value } of totals) result.observe(instrument, value(observed));
      for (const { instrument, value } of byAnalyzer) {
        for (const one of observed.analyzers) {
          result.observe(instrument, value(one), { analyzer: one.id });
        }
      }
    }, [...totals, ...byAnalyzer].map(({ instrument }) => instrument));
  }

  /** A context whose span is the request of a packet, so that the attempt is its child. */
  #contextOf(origin: SpanContext | undefined): unknown {
    const active = Deno.telemetry.contextManager.active();
    if (!origin || !active) return active;
    return active.setValue(SPAN_KEY, { spanContext: () => origin });
  }
}

type Kind = "counter" | "gauge";

const COUNTERS: readonly (readonly [string, Kind, (observed: Observed) => number])[] = [
  ["packets.accepted", "counter", ({ received }) => received.packets],
  ["messages.accepted", "counter", ({ received }) => received.messages],
  ["packets.delivered", "counter", ({ delivered }) => delivered.packets],
  ["packets.queued", "gauge", ({ queued }) => queued.packets],
  ["packets.in_flight", "gauge", ({ in_flight }) => in_flight.packets],
  ["dead_letters", "gauge", (observed) => observed.dead_letters],
  ["retries", "counter", ({ retries }) => retries],
];

type OneAnalyzer = Observed["analyzers"][number];
const BY_ANALYZER: readonly (readonly [string, Kind, (one: OneAnalyzer) => number])[] = [
  ["messages.delivered", "counter", ({ delivered }) => delivered.messages],
  ["eligible", "gauge", ({ eligible }) => +eligible],
  ["share.target", "gauge", ({ share }) => share.target],
  ["share.actual", "gauge", ({ share }) => share.actual],
];
