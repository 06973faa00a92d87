/**
 * Durations counted in buckets of bounded relative width, so that percentiles need no samples.
 *
 * Buckets are logarithmic with {@link STEPS_PER_OCTAVE} a doubling: a percentile is true to 1.1 %.
 */

const STEPS_PER_OCTAVE = 32;
/** One microsecond: what is shorter counts as this. */
const MIN_MS = 0.001;
/** 2²⁸ µs, about 4.5 minutes: what is longer counts as this. */
const OCTAVES = 28;
const BUCKETS = OCTAVES * STEPS_PER_OCTAVE + 1;

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;
  #sumMs = 0;
  #maxMs = 0;

  get count(): number {
    return this.#total;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  get meanMs(): number {
    return this.#total === 0 ? 0 : this.#sumMs / this.#total;
  }

  /** Counts a duration in milliseconds, `times` times. */
  record(durationMs: number, times = 1): void {
    const step = Math.round(Math.log2(Math.max(durationMs, MIN_MS) / MIN_MS) * STEPS_PER_OCTAVE);
    this.#counts[Math.min(step, BUCKETS - 1)]! += times;
    this.#total += times;
    this.#sumMs += durationMs * times;
    if (durationMs > this.#maxMs) this.#maxMs = durationMs;
  }

  /** Adds all that another has counted. */
  add(other: Histogram): void {
    for (let i = 0; i < BUCKETS; i++) this.#counts[i]! += other.#counts[i]!;
    this.#total += other.#total;
    this.#sumMs += other.#sumMs;
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
  }

  /** The duration that a fraction (0 to 1) of all stay at or below, in milliseconds; 0 when empty. */
  quantileMs(fraction: number): number {
    const rank = Math.ceil(fraction * this.#total);
    let seen = 0;
    for (let i = 0; i < BUCKETS && this.#total > 0; i++) {
      seen += this.#counts[i]!;
      if (seen >= rank && seen > 0) {
        return Math.min(MIN_MS * 2 ** (i / STEPS_PER_OCTAVE), this.#maxMs);
      }
    }
    return this.#maxMs;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
  }
}
