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

  /** Counts a duration; a clock that seems to run backwards counts as 0. */
  observe(durationMs: number): void {
    let bucket = 0;
    while (durationMs > BOUNDS_MS[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.count++;
    if (durationMs > 0) this.sumMs += durationMs;
  }
}

/** What of a timing was counted since it was last asked: the durations of a second, say. */
export class TimingDelta {
  readonly #timing: Timing;
  readonly #before = new Float64Array(BOUNDS_MS.length + 1);
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1);

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Moves on to now. */
  turn(): void {
    const { counts } = this.#timing;
    for (let i = 0; i < counts.length; i++) this.#counts[i] = counts[i]! - this.#before[i]!;
    this.#before.set(counts);
  }

  /** A quantile between the last two turns, even within a bucket; null when nothing was counted. */
  quantileMs(fraction: number): number | null {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return null;
    const rank = fraction * total;
    let seen = 0;
    for (let bucket = 0; bucket < BOUNDS_MS.length; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0 && seen + count >= rank) {
        const low = bucket === 0 ? 0 : BOUNDS_MS[bucket - 1]!;
        return low + (BOUNDS_MS[bucket]! - low) * Math.max(0, rank - seen) / count;
      }
      seen += count;
    }
    return BOUNDS_MS.at(-1)!;
  }
}
