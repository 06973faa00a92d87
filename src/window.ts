/** What happened in the last minute: counts by second, durations by half a minute. */

import { Histogram } from "./histogram.ts";

/** Length of the windows behind shares and percentiles, in seconds. */
export const WINDOW_SECONDS = 60;

/** A sum over the last {@link WINDOW_SECONDS}; whole seconds, `now` in monotonic milliseconds. */
export class WindowedSum {
  readonly #bySecond = new Float64Array(WINDOW_SECONDS);
  #second = 0;
  #total = 0;

  add(amount: number, nowMs: number): void {
    this.#turn(nowMs);
    this.#bySecond[this.#second % WINDOW_SECONDS]! += amount;
    this.#total += amount;
  }

  total(nowMs: number): number {
    this.#turn(nowMs);
    return this.#total;
  }

  /** Empties the seconds that have left the window. */
  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    const stale = Math.min(second - this.#second, WINDOW_SECONDS);
    for (let i = 1; i <= stale; i++) {
      const cell = (this.#second + i) % WINDOW_SECONDS;
      this.#total -= this.#bySecond[cell]!;
      this.#bySecond[cell] = 0;
    }
    this.#second = second;
  }
}

/** Durations of the last half to whole {@link WINDOW_SECONDS}. */
export class WindowedHistogram {
  #current = new Histogram();
  #previous = new Histogram();
  #half = 0;

  record(durationMs: number, nowMs: number, times = 1): void {
    this.#turn(nowMs);
    this.#current.record(durationMs, times);
  }

  /** A copy of what was counted. */
  read(nowMs: number): Histogram {
    this.#turn(nowMs);
    const both = new Histogram();
    both.add(this.#previous);
    both.add(this.#current);
    return both;
  }

  /** Quantiles of what was counted; see {@link Histogram.quantilesWith}. */
  quantilesMs(fractions: readonly number[], nowMs: number): number[] {
    this.#turn(nowMs);
    return this.#current.quantilesWith(this.#previous, fractions);
  }

  #turn(nowMs: number): void {
    const half = Math.floor(nowMs / (WINDOW_SECONDS * 500));
    if (half === this.#half) return;
    [this.#previous, this.#current] = [this.#current, this.#previous];
    this.#current.clear();
    if (half > this.#half + 1) this.#previous.clear();
    this.#half = half;
  }
}
