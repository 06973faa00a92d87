/** Alternating runs: their order, and the medians that are taken of them. Pure. */

/** The order of a round: each contender comes first, and after each other, in turn. */
export function orderOf<T>(round: number, contenders: readonly T[]): T[] {
  const shift = round % contenders.length;
  const rotated = [...contenders.slice(shift), ...contenders.slice(0, shift)];
  return Math.floor(round / contenders.length) % 2 === 0 ? rotated : rotated.reverse();
}

/** A median with its extremes. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Median, least and most.
 *
 * @throws {Error} of nothing
 */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error("Cannot take the median of nothing");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** The spread of the ratios of two series, round by round: what drifts, drifts in both. */
export function ratioOf(values: readonly number[], base: readonly number[]): Spread {
  if (values.length !== base.length) throw new Error("Cannot compare series of different lengths");
  return spreadOf(values.map((value, i) => value / base[i]!));
}
