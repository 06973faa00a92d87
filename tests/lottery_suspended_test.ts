/** The lottery while entries are suspended: who stands in, and what is made up for afterwards. */

import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import { Lottery } from "../src/lottery.ts";
import { type Random, seededRandom } from "../src/random.ts";
import { createLottery, drawMany, type Drawn, WEIGHTS, worstError } from "./support/lotteries.ts";

/** Draws `packets` of one message, the first entry being suspended for `of` out of every `period`. */
function drawSuspending(
  lottery: Lottery,
  { packets, of, period, random }: { packets: number; of: number; period: number; random: Random },
): Drawn {
  const messages = [0, 0, 0, 0];
  for (let i = 0; i < packets; i++) {
    lottery.setSuspended(0, i % period < of);
    messages[lottery.draw(1, random)]!++;
  }
  return { messages, total: packets, largest: 1 };
}

// Suspended for 10 packets it falls behind by 4, for 30 by 12: within the bound, and made up for
// before the period ends. What is left at the end is what any entry may stray by.
Deno.test("lottery.setSuspended() for a moment shifts no share, not even the heaviest entry's", () => {
  for (const [of, period] of [[1, 2], [10, 40], [30, 100]] as const) {
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const drawn = drawSuspending(createLottery(WEIGHTS), { packets: 20_000, of, period, random });
      assertLessOrEqual(worstError(drawn, WEIGHTS), 4 / 20_000, `${of} of ${period}, seed ${seed}`);
    }
  }
});

Deno.test("lottery.setSuspended() for long brings back the share of 32 mean packets at most", () => {
  for (const size of [1, 250]) {
    const lottery = createLottery(WEIGHTS);
    const random = seededRandom(size);
    const draw = (packets: number) => drawMany(lottery, { packets, random, size: () => size });
    draw(500);
    lottery.setSuspended(0, true);
    const without = draw(10_000);
    assertEquals(without.messages[0], undefined);
    // By weight alone meanwhile: binomial, five σ.
    assertLess(Math.abs(without.messages[1]! / size - 5000), 5 * Math.sqrt(10_000 / 4));
    lottery.setSuspended(0, false);
    const back = draw(1000);
    assertLess(Math.abs(back.messages[0]! / size - (400 + 0.4 * 32)), 4, "no flood");
    const after = draw(10_000);
    assertLessOrEqual(Math.abs(after.messages[0]! / after.total - 0.4), 4 / 10_000);
    assertEquals([lottery.size, lottery.isOpen(0)], [4, true]);
  }
});

Deno.test("lottery.setSuspended() leaves no debt with the one that stood in for all others", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = seededRandom(seed);
    const lottery = createLottery(WEIGHTS);
    drawMany(lottery, { packets: 1000, random });
    for (const entry of [0, 1, 2]) lottery.setSuspended(entry, true);
    assertEquals(drawMany(lottery, { packets: 500, random }).messages[3], 500);
    for (const entry of [0, 1, 2]) lottery.setSuspended(entry, false);
    const back = drawMany(lottery, { packets: 1000, random });
    // What the three bring back is at most 32 packets' worth, of which its debt is the rest.
    assertGreater(back.messages[3]!, 100 - 32, `seed ${seed}`);
    assertLessOrEqual(
      worstError(drawMany(lottery, { packets: 10_000, random }), WEIGHTS),
      4 / 10_000,
    );
  }
});

Deno.test("lottery.setSuspended() holds with weights of 1e6 beside 1e-6, and for the only entry", () => {
  const lottery = createLottery([1e6, 1e-6, 1e-6]);
  const random = seededRandom(8);
  for (let round = 0; round < 3; round++) {
    lottery.setSuspended(0, true);
    const without = drawMany(lottery, { packets: 10_000, random });
    assertEquals(without.messages[0], undefined);
    lottery.setSuspended(0, false);
    const back = drawMany(lottery, { packets: 10_000, random });
    // What the light ones got by chance, one more than the other, evens out: binomial, five σ.
    assertLessOrEqual(worstError(back, [1e6, 1e-6, 1e-6]), 250 / 10_000, `round ${round}`);
  }
  for (const entry of [1, 2]) lottery.setWeight(entry, 0);
  for (const suspended of [true, false]) lottery.setSuspended(0, suspended);
  lottery.setWeight(1, 1e6);
  const both = drawMany(lottery, { packets: 10_000, random });
  assertLessOrEqual(worstError(both, [1, 1]), 10 / 10_000);
});

Deno.test("lottery.draw() is -1 while every entry is suspended, and books nothing", () => {
  const lottery = createLottery([1, 1]);
  const random = seededRandom(3);
  for (const entry of [0, 1]) lottery.setSuspended(entry, true);
  for (let i = 0; i < 100; i++) assertEquals(lottery.draw(1000, random), -1);
  assertEquals([lottery.size, lottery.isOpen(0), lottery.share(0)], [2, false, 0.5]);
  lottery.setSuspended(1, false);
  assertEquals([lottery.draw(1, random), lottery.draw(1, random, [1])], [1, 1]);
  lottery.setSuspended(0, false);
  assertLess(Math.abs(drawMany(lottery, { packets: 1000, random }).messages[0]! - 501), 4);
});

Deno.test("lottery.setWeight() of a suspended entry: gone it leaves nothing behind, else it stays so", () => {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(5);
  lottery.setSuspended(0, true);
  drawMany(lottery, { packets: 100, random });
  lottery.setWeight(0, 0.8);
  assertEquals(drawMany(lottery, { packets: 100, random }).messages[0], undefined);
  lottery.setWeight(0, 0);
  const others = drawMany(lottery, { packets: 10_000, random });
  assertLessOrEqual(worstError(others, [0, 0.3, 0.2, 0.1]), 40 / 10_000);
  lottery.setWeight(0, 0.4);
  assert(lottery.isOpen(0), "a newcomer is not suspended");
  const first = drawMany(lottery, { packets: 1000, random }).messages[0]!;
  assertLess(Math.abs(first - 400), 4, "and has no credit");
  lottery.setSuspended(3, true);
  lottery.setWeight(3, 0);
  assertEquals(lottery.draw(1, random, [0, 1]), 2);
});

Deno.test("lottery.draw() passes over suspended entries also where others are to be avoided", () => {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(4);
  lottery.setSuspended(0, true);
  for (let i = 0; i < 100; i++) assertEquals(lottery.draw(1, random, [1, 2]), 3);
  for (let i = 0; i < 100; i++) assert(lottery.draw(1, random, [1, 2, 3]) > 0);
});
