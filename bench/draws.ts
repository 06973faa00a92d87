/** What one draw of the lottery costs, with few and with many analyzers. */

import { Lottery } from "../src/lottery.ts";
import { seededRandom } from "../src/random.ts";
import { spreadOf } from "./rounds.ts";

const ANALYZERS = [4, 10, 100, 1000];
const DRAWS = 200_000;
const ROUNDS = 5;

export interface DrawResult {
  readonly analyzers: number;
  readonly nanoseconds: number;
}

/** Measures in this process, packets of 1 to 1000 messages. */
export function measureDraws(): DrawResult[] {
  const random = seededRandom(1);
  const sizes = Uint16Array.from({ length: 1024 }, () => Math.floor(1001 ** random()));
  return ANALYZERS.map((analyzers) => {
    const lottery = new Lottery();
    for (let i = 0; i < analyzers; i++) lottery.setWeight(i, 1 + i % 10);
    const time = () => timeDraws(lottery, { sizes, random });
    time();
    const nanoseconds = spreadOf(Array.from({ length: ROUNDS }, time)).median;
    return { analyzers, nanoseconds };
  });
}

function timeDraws(
  lottery: Lottery,
  { sizes, random }: { sizes: Uint16Array; random: () => number },
): number {
  const startedMs = performance.now();
  for (let i = 0; i < DRAWS; i++) lottery.draw(sizes[i & 1023]!, random);
  return (performance.now() - startedMs) * 1e6 / DRAWS;
}
