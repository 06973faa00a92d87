/** How fast a count of the metrics grows, and at what cost, at its beginning and at its end. */

import { systemClock } from "../src/clock.ts";
import type { MetricsView } from "../src/metrics.ts";
import type { Contender } from "./contenders.ts";
import { readCpuSeconds } from "./process_usage.ts";

interface Point {
  readonly ms: number;
  readonly count: number;
  readonly cpuSeconds: number;
}

/** Packets a second, and CPU time for each. */
export interface Speed {
  readonly rate: number;
  readonly cpuMicros: number;
}

export class Pace {
  readonly #contender: Contender;
  readonly #edge: number;
  readonly #points: Point[] = [];
  #last: MetricsView | undefined;

  /** @param edge packets that make the beginning, and the end */
  constructor(contender: Contender, edge: number) {
    this.#contender = contender;
    this.#edge = edge;
  }

  /** What was read last. */
  get last(): MetricsView {
    return this.#last!;
  }

  async read(name: "accepted" | "delivered"): Promise<void> {
    this.#last = await this.#contender.readBooks!();
    const count = this.#last[name].packets;
    const cpuSeconds = readCpuSeconds(this.#contender.child.pid);
    this.#points.push({ ms: systemClock.monotonicMs(), count, cpuSeconds });
  }

  first(): Speed {
    const start = this.#points[0]!;
    const end = this.#points.find(({ count }) => count >= start.count + this.#edge);
    return speedBetween(start, end ?? this.#points.at(-1)!);
  }

  /** The very last reading came after all had: it does not count. */
  latest(): Speed {
    const end = this.#points.at(-2) ?? this.#points.at(-1)!;
    const start = this.#points.findLast(({ count }) => count <= end.count - this.#edge);
    return speedBetween(start ?? this.#points[0]!, end);
  }
}

function speedBetween(from: Point, to: Point): Speed {
  const count = to.count - from.count;
  return {
    rate: count / (to.ms - from.ms) * 1000,
    cpuMicros: (to.cpuSeconds - from.cpuSeconds) * 1e6 / count,
  };
}
