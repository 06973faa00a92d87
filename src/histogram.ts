/**
 * Durations counted in bounded memory, so that percentiles need no samples: wrong by less than 0.8 %.
 *
 * Log-linear buckets as in HdrHistogram: each doubling of microseconds is cut into 128 equal ones.
 * The largest value and the mean are exact.
 */

const SUB_BUCKET_BITS = 7;
const SUB_BUCKETS = 2 ** SUB_BUCKET_BITS;
/** What is longer than 71 minutes counts as this. */
const MAX_US = 2 ** 32 - 1;
const BUCKETS = (32 - SUB_BUCKET_BITS + 1) * SUB_BUCKETS;

export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  /** Counts a duration in milliseconds, `times` times. */
  record(durationMs: number, times = 1): void {
    this.#buckets[bucketOf(toMicros(durationMs))]! += times;
    this.#count += times;
    this.#sumMs += durationMs * times;
    if (durationMs > this.#maxMs) this.#maxMs = durationMs;
  }

  /** Adds all that another has counted. */
  add(other: Histogram): void {
    if (other.#count === 0) return;
    const last = bucketOf(toMicros(other.#maxMs));
    for (let i = 0; i <= last; i++) this.#buckets[i]! += other.#buckets[i]!;
    this.#count += other.#count;
    this.#sumMs += other.#sumMs;
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
  }

  /** The smallest value that a fraction (0 to 1) of all do not exceed; 0 when there is none. */
  quantileMs(fraction: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket]!;
      if (seen >= rank) return Math.min(highestOf(bucket) / 1000, this.#maxMs);
    }
    return this.#maxMs;
  }

  /**
   * Quantiles of two histograms taken together, in one pass and without a copy.
   *
   * @param fractions 0 to 1, rising
   */
  quantilesWith(other: Histogram, fractions: readonly number[]): number[] {
    const count = this.#count + other.#count;
    if (count === 0) return fractions.map(() => 0);
    const maxMs = Math.max(this.#maxMs, other.#maxMs);
    const quantiles: number[] = [];
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS && quantiles.length < fractions.length; bucket++) {
      const here = this.#buckets[bucket]! + other.#buckets[bucket]!;
      if (here === 0) continue;
      seen += here;
      while (
        quantiles.length < fractions.length &&
        seen >= Math.max(1, Math.ceil(fractions[quantiles.length]! * count))
      ) quantiles.push(Math.min(highestOf(bucket) / 1000, maxMs));
    }
    return quantiles;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
  }
}

function toMicros(durationMs: number): number {
  return Math.min(Math.max(Math.round(durationMs * 1000), 0), MAX_US);
}

function bucketOf(us: number): number {
  if (us < SUB_BUCKETS) return us;
  const shift = 31 - Math.clz32(us) - SUB_BUCKET_BITS;
  return (shift + 1) * SUB_BUCKETS + (us >>> shift) - SUB_BUCKETS;
}

function highestOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket;
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1;
  return ((bucket % SUB_BUCKETS) + SUB_BUCKETS + 1) * 2 ** shift - 1;
}
