/** The only door to chance. Everything else is handed a {@link Random}. */

/** Returns a uniform number in [0, 1). */
export type Random = () => number;

/** Chance as the platform gives it. */
export const systemRandom: Random = Math.random;

/** A version 4 UUID. */
export function randomId(): string {
  return crypto.randomUUID();
}

/**
 * A reproducible generator: the same seed gives the same sequence, on every platform.
 *
 * Algorithm: sfc32 (Chris Doty-Humphrey, PractRand), seeded from a 32-bit integer.
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9 | 0;
  let b = 0x243f6a88 | 0;
  let c = seed | 0;
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}
