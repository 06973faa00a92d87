/**
 * Durations counted in a few fixed buckets, for scrapers and charts: one addition an observation.
 *
 * The bounds are those of all our histograms, so that they can be laid over one another.
 */

/** Upper bounds in milliseconds, inclusive; what is longer is counted beyond the last. */
export const BOUNDS_MS: readonly number[] = [
  ...[0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 75, 100, 150, 250, 500],
  ...[1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000],
];

export class Timing {
  /** By bucket, not cumulative; one more than there are bounds. */
  readonly counts = new Float64Array(BOUNDS_MS.length + 1);
  count = 0;
  sumMs = 0;
  /** The longest since it was last asked for. */
  #recentMaxMs = 0;

  /** Counts a duration; a clock that seems to run backwards counts as 0. */
  observe(durationMs: number): void {
    let bucket = 0;
    while (durationMs > BOUNDS_MS[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.count++;
    if (durationMs > 0) this.sumMs += durationMs;
    if (durationMs > this.#recentMaxMs) this.#recentMaxMs = durationMs;
  }

  /** The longest since this was last called. */
  takeMaxMs(): number {
    const maxMs = this.#recentMaxMs;
    this.#recentMaxMs = 0;
    return maxMs;
  }
}

/**
 * What of a timing was counted since it was last asked: the durations of a second, say. A timing has
 * one at most, as it is told the longest duration only once.
 */
export class TimingDelta {
  readonly #timing: Timing;
  readonly #before = new Float64Array(BOUNDS_MS.length + 1);
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1);
  #maxMs = 0;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Moves on to now. */
  turn(): void {
    const { counts } = this.#timing;
    for (let i = 0; i < counts.length; i++) this.#counts[i] = counts[i]! - this.#before[i]!;
    this.#before.set(counts);
    this.#maxMs = this.#timing.takeMaxMs();
  }

  /**
   * A quantile between the last two turns, even within a bucket and never above the longest; null
   * when nothing was counted.
   */
  quantileMs(fraction: number): number | null {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return null;
    const rank = fraction * total;
    let seen = 0;
    for (let bucket = 0; bucket < BOUNDS_MS.length; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0 && seen + count >= rank) {
        const low = bucket === 0 ? 0 : BOUNDS_MS[bucket - 1]!;
        const high = Math.min(BOUNDS_MS[bucket]!, this.#maxMs);
        return low + Math.max(0, high - low) * Math.max(0, rank - seen) / count;
      }
      seen += count;
    }
    return this.#maxMs;
  }
}
