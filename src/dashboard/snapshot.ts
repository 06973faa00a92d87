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
import type { Warning } from "../warnings.ts";
import { chooseCharted } from "./client/series.js";

/** Seconds that the charts go back. */
export const HISTORY_SECONDS = 300;

/** One second. Rates are per second, of messages but for `refused`; durations in milliseconds. */
export interface Point {
  /** Seconds since the start, counted: no clock that is set moves it. */
  readonly n: number;
  /** Seconds since the Unix epoch, to label it with. */
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
  /** Why the distributor is not ready for packets; null when it is. */
  readonly unready: string | null;
  /** The worst first. */
  readonly warnings: readonly Warning[];
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
    readonly analyzers: readonly Pick<AnalyzerView, "id" | "weight" | "delivered">[];
  };
  readonly memoryBytes: () => number;
  readonly unready: () => string | undefined;
  readonly warnings: () => readonly Warning[];
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
  /** The ids that the past keeps, so that it stays small. */
  readonly charted: readonly string[];
}

export class Sampler {
  readonly #doors: SamplerDoors;
  readonly #endToEnd: TimingDelta;
  readonly #accept: TimingDelta;
  readonly #wait: TimingDelta;
  readonly #lag: TimingDelta;
  #points: Point[] = [];
  #before: Counters;
  #latest: Point | undefined;
  #turns = 0;

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
    const before = this.#before;
    const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000);
    const rate = (to: number, from: number) => Math.round(Math.max(0, to - from) / seconds);
    const by = Object.fromEntries(
      [...now.by].map(([id, messages]) => [id, rate(messages, before.by.get(id) ?? messages)]),
    );
    this.#before = now;
    this.#latest = {
      n: ++this.#turns,
      t: roundMilli(this.#doors.clock.wallMs() / 1000),
      accepted: rate(now.accepted, before.accepted),
      delivered: rate(now.delivered, before.delivered),
      packets: rate(now.packets, before.packets),
      refused: rate(now.refused, before.refused),
      queued: now.queued,
      p50: roundOrNull(this.#endToEnd.quantileMs(0.5)),
      p95: roundOrNull(this.#endToEnd.quantileMs(0.95)),
      p99: roundOrNull(this.#endToEnd.quantileMs(0.99)),
      by,
    };
    this.#remember(this.#latest, now.charted);
  }

  #remember(point: Point, charted: readonly string[]): void {
    // A clock that was set back: what lies ahead of it now is no past.
    while ((this.#points.at(-1)?.t ?? -Infinity) > point.t) this.#points.pop();
    this.#points.push({ ...point, by: pick(point.by, charted) });
    if (this.#points.length > HISTORY_SECONDS) this.#points.shift();
  }

  /** The last second and the state now; undefined before the first turn. */
  snapshot(): Snapshot | undefined {
    const point = this.#latest;
    if (!point) return undefined;
    const { boot, state, memoryBytes, unready, warnings } = this.#doors;
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
      unready: unready() ?? null,
      warnings: warnings(),
    };
  }

  history(): History {
    return { boot: this.#doors.boot, points: this.#points };
  }

  #read(): Counters {
    const { received, delivered, rejected, queued, analyzers } = this.#doors.glance();
    return {
      atMs: this.#doors.clock.monotonicMs(),
      accepted: received.messages,
      delivered: delivered.messages,
      packets: received.packets,
      refused: rejected.packets,
      queued: queued.packets,
      by: new Map(analyzers.map(({ id, delivered }) => [id, delivered.messages])),
      charted: chooseCharted(analyzers),
    };
  }
}

function pick(by: Readonly<Record<string, number>>, ids: readonly string[]) {
  return Object.fromEntries(ids.map((id) => [id, by[id]!]));
}

function roundOrNull(value: number | null): number | null {
  return value === null ? null : roundMilli(value);
}
