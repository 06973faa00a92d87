/** Lotteries, and what their draws come to. */

import { Lottery } from "../../src/lottery.ts";
import type { Random } from "../../src/random.ts";

/** The shares that most tests are about. */
export const WEIGHTS = [0.4, 0.3, 0.2, 0.1];

export function createLottery(weights: readonly number[]): Lottery {
  const lottery = new Lottery();
  weights.forEach((weight, entry) => lottery.setWeight(entry, weight));
  return lottery;
}

/** Sizes whose logarithm is uniform: half of all messages come in packets of over 500. */
export function logUniform(random: Random): number {
  return Math.floor(1000 ** random());
}

export interface Drawn {
  /** Messages by entry. */
  readonly messages: number[];
  readonly total: number;
  readonly largest: number;
}

export function drawMany(
  lottery: Lottery,
  options: { packets: number; random: Random; size?: () => number; avoid?: number[] },
): Drawn {
  const messages: number[] = [];
  let total = 0;
  let largest = 0;
  for (let i = 0; i < options.packets; i++) {
    const size = options.size?.() ?? 1;
    const entry = lottery.draw(size, options.random, options.avoid);
    messages[entry] = (messages[entry] ?? 0) + size;
    total += size;
    largest = Math.max(largest, size);
  }
  return { messages, total, largest };
}

/** The largest distance of any entry from its share, as a part of all messages. */
export function worstError(drawn: Drawn, weights: readonly number[]): number {
  const sum = weights.reduce((a, b) => a + b);
  return Math.max(
    ...weights.map((weight, i) => Math.abs((drawn.messages[i] ?? 0) / drawn.total - weight / sum)),
  );
}
