/**
 * What the dashboard shows, once a second: the state, the rates and latencies of that second, and
 * the minutes before for whoever has just come.
 *
 * Rates are made here, so that a page needs no memory of counters, and a restart no special case.
 */

import type { AnalyzerView } from "../analyzer_view.ts";
import { type Clock, roundMilli } from "../clock.ts";
import type { Instruments } from "../instruments.ts";
import type { MetricsView } from "../metrics.ts";
import { TimingDelta } from "../timing.ts";

/** Seconds that the charts go back. */
export const HISTORY_SECONDS = 300;
/** With more analyzers than this, the past holds no rates of each: it would not be small. */
export const MAX_CHARTED = 16;

/** One second. Rates are per second, of messages but for `refused`; durations in milliseconds. */
export interface Point {
  /** Seconds since the Unix epoch. */
  readonly t: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly packets: number;
  readonly refused: number;
  readonly queued: number;
  /** From acceptance to delivery; null in a second without any. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** Messages a second by analyzer. */
  readonly by: Readonly<Record<string, number>>;
}

/** The data of an event `snapshot`. */
export interface Snapshot {
  /** Changes with each start of the distributor. */
  readonly boot: string;
  readonly point: Point;
  readonly state: MetricsView;
  readonly latency_ms: {
    readonly accept_p99: number | null;
    readonly queue_wait_p99: number | null;
    readonly loop_lag_max: number | null;
  };
  readonly memory_bytes: number;
}

/** The data of an event `history`, the first one: one array a column, oldest first. */
export interface History {
  readonly boot: string;
  readonly points: readonly Point[];
}

export interface SamplerDoors {
  readonly clock: Clock;
  readonly instruments: Instruments;
  /** Everything, percentiles included; asked for only when somebody watches. */
  readonly state: () => MetricsView;
  /** The same without what takes time. */
  readonly glance: () => Omit<MetricsView, "analyzers"> & {
    readonly analyzers: readonly Pick<AnalyzerView, "id" | "delivered">[];
  };
  readonly memoryBytes: () => number;
  readonly boot: string;
}

interface Counters {
  readonly atMs: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly packets: number;
  readonly refused: number;
  readonly queued: number;
  readonly by: ReadonlyMap<string, number>;
}

export class Sampler {
  readonly #doors: SamplerDoors;
  readonly #endToEnd: TimingDelta;
  readonly #accept: TimingDelta;
  readonly #wait: TimingDelta;
  readonly #lag: TimingDelta;
  #points: Point[] = [];
  #before: Counters | undefined;

  constructor(doors: SamplerDoors) {
    this.#doors = doors;
    const { instruments } = doors;
    this.#endToEnd = new TimingDelta(instruments.endToEnd);
    this.#accept = new TimingDelta(instruments.accept);
    this.#wait = new TimingDelta(instruments.queueWait);
    this.#lag = new TimingDelta(instruments.loopLag);
    this.#before = this.#read();
  }

  /** Ends one second: what it held becomes a point. */
  turn(): void {
    for (const delta of [this.#endToEnd, this.#accept, this.#wait, this.#lag]) delta.turn();
    const now = this.#read();
    const before = this.#before ?? now;
    const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000);
    const rate = (to: number, from: number) => Math.round(Math.max(0, to - from) / seconds);
    const by: Record<string, number> = {};
    if (now.by.size <= MAX_CHARTED) {
      for (const [id, messages] of now.by) by[id] = rate(messages, before.by.get(id) ?? messages);
    }
    this.#before = now;
    this.#points.push({
      t: Math.round(this.#doors.clock.wallMs() / 1000),
      accepted: rate(now.accepted, before.accepted),
      delivered: rate(now.delivered, before.delivered),
      packets: rate(now.packets, before.packets),
      refused: rate(now.refused, before.refused),
      queued: now.queued,
      p50: roundOrNull(this.#endToEnd.quantileMs(0.5)),
      p95: roundOrNull(this.#endToEnd.quantileMs(0.95)),
      p99: roundOrNull(this.#endToEnd.quantileMs(0.99)),
      by,
    });
    if (this.#points.length > HISTORY_SECONDS) this.#points.shift();
  }

  /** The last second and the state now; undefined before the first turn. */
  snapshot(): Snapshot | undefined {
    const point = this.#points.at(-1);
    if (!point) return undefined;
    const { boot, state, memoryBytes } = this.#doors;
    return {
      boot,
      point,
      state: state(),
      latency_ms: {
        accept_p99: roundOrNull(this.#accept.quantileMs(0.99)),
        queue_wait_p99: roundOrNull(this.#wait.quantileMs(0.99)),
        loop_lag_max: roundOrNull(this.#lag.quantileMs(1)),
      },
      memory_bytes: memoryBytes(),
    };
  }

  history(): History {
    return { boot: this.#doors.boot, points: this.#points };
  }

  #read(): Counters {
    const { accepted, delivered, rejected, queued, analyzers } = this.#doors.glance();
    return {
      atMs: this.#doors.clock.monotonicMs(),
      accepted: accepted.messages,
      delivered: delivered.messages,
      packets: accepted.packets,
      refused: rejected.packets,
      queued: queued.packets,
      by: new Map(analyzers.map(({ id, delivered }) => [id, delivered.messages])),
    };
  }
}

function roundOrNull(value: number | null): number | null {
  return value === null ? null : roundMilli(value);
}
