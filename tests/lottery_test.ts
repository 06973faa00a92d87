import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertNotEquals,
} from "@std/assert";
import { Lottery } from "../src/lottery.ts";
import { seededRandom } from "../src/random.ts";
import { createLottery, drawMany, logUniform, WEIGHTS, worstError } from "./support/lotteries.ts";

// An entry strays by at most about two packets, whatever n: at n packets of equal size by 2/n, and
// at sizes that vary by about one largest packet. Independent draws would stray by √(p·(1−p)/n):
// 0.49 points at n = 10,000, and with sizes up to 1000 by 0.9.
Deno.test("lottery.draw() keeps every share to 0.02 points over 10,000 equal packets", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const drawn = drawMany(createLottery(WEIGHTS), { packets: 10_000, random: seededRandom(seed) });
    assertLessOrEqual(worstError(drawn, WEIGHTS), 2 / 10_000, `seed ${seed}`);
  }
});

Deno.test("lottery.draw() keeps every share to 0.1 points over 10,000 packets of 1 to 1000", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const size = () => logUniform(random);
    const drawn = drawMany(createLottery(WEIGHTS), { packets: 10_000, random, size });
    const bound = (drawn.largest + 2 * drawn.total / 10_000) / drawn.total;
    assertLess(bound, 0.001);
    assertLessOrEqual(worstError(drawn, WEIGHTS), bound, `seed ${seed}`);
  }
});

Deno.test("lottery.draw() never lets an entry stray by three packets, at any moment", () => {
  const random = seededRandom(5);
  const lottery = createLottery(WEIGHTS);
  const got = [0, 0, 0, 0];
  let furthest = 0;
  for (let n = 1; n <= 20_000; n++) {
    got[lottery.draw(1, random)]!++;
    for (const [i, weight] of WEIGHTS.entries()) {
      furthest = Math.max(furthest, Math.abs(got[i]! - weight * n));
    }
  }
  assertLess(furthest, 3);
});

Deno.test("lottery.draw() stays exact beyond a million draws", () => {
  const drawn = drawMany(createLottery(WEIGHTS), { packets: 1_200_000, random: seededRandom(3) });
  assertLessOrEqual(worstError(drawn, WEIGHTS), 3 / 1_200_000);
});

Deno.test("lottery.draw() renormalises when an entry leaves: 4/3/2/1 to .571/.286/.143", () => {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(11);
  drawMany(lottery, { packets: 1000, random });
  lottery.setWeight(1, 0);
  const { messages, total } = drawMany(lottery, { packets: 10_000, random });
  assertEquals([0, 2, 3].map((i) => (messages[i]! / total).toFixed(3)), [
    "0.571",
    "0.286",
    "0.143",
  ]);
  assertEquals(messages[1], undefined);
  assertEquals([0, 1, 2, 3].map((i) => lottery.share(i).toFixed(3)), [
    "0.571",
    "0.000",
    "0.286",
    "0.143",
  ]);
});

/** Knows weights, sizes and the past: guesses the entry that is owed the most, slack included. */
function guessRate(seed: number): number {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(seed);
  const got = [0, 0, 0, 0];
  let right = 0;
  for (let n = 0; n < 10_000; n++) {
    const tickets = WEIGHTS.map((weight, i) => weight * (n + 2) - got[i]!);
    const guess = tickets.indexOf(Math.max(...tickets));
    const entry = lottery.draw(1, random);
    if (entry === guess) right++;
    got[entry]!++;
  }
  return right / 10_000;
}

Deno.test("lottery.draw() cannot be foretold from weights and history", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rate = guessRate(seed);
    assertLess(rate, 0.75, `seed ${seed}`);
    // A sanity check of the predictor: it does better than one that knows only the weights.
    assertGreater(rate, 0.45, `seed ${seed}`);
  }
});

Deno.test("lottery.draw() follows its seed: the same one the same entries, another other ones", () => {
  const sequence = (seed: number) => {
    const lottery = createLottery(WEIGHTS);
    const random = seededRandom(seed);
    return Array.from({ length: 200 }, () => lottery.draw(3, random));
  };
  assertEquals(sequence(1), sequence(1));
  assertNotEquals(sequence(1), sequence(2));
});

Deno.test("lottery.setWeight() lets an entry return without catching up", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const lottery = createLottery(WEIGHTS);
    const random = seededRandom(seed);
    drawMany(lottery, { packets: 500, random });
    lottery.setWeight(0, 0);
    drawMany(lottery, { packets: 5000, random });
    lottery.setWeight(0, 0.4);
    const first = drawMany(lottery, { packets: 100, random }).messages[0]!;
    const next = drawMany(lottery, { packets: 900, random }).messages[0]!;
    // Two packets of slack, and what the others were owed or owed when it came back.
    assertLessOrEqual(Math.abs(first - 40), 4, `seed ${seed}`);
    assertLessOrEqual(Math.abs(first + next - 400), 4, `seed ${seed}`);
  }
});

Deno.test("lottery.setWeight() shares what a leaver owed or was owed among those that stay", () => {
  for (const leaver of [0, 1, 2, 3]) {
    const lottery = createLottery([0.4, 0.3, 0.2, 0.1]);
    const random = seededRandom(leaver + 1);
    // Each round one huge packet puts one entry far into debt, and the leaver goes right after.
    for (let round = 0; round < 20; round++) {
      drawMany(lottery, { packets: 20, random });
      lottery.draw(500, random);
      lottery.setWeight(leaver, 0);
      lottery.setWeight(leaver, WEIGHTS[leaver]!);
    }
    const drawn = drawMany(lottery, { packets: 20_000, random });
    assertLessOrEqual(worstError(drawn, WEIGHTS), 1000 / 20_000, `leaver ${leaver}`);
  }
});

Deno.test("lottery.setWeight() keeps an entry's credit when it changes a weight", () => {
  const lottery = createLottery([1, 1]);
  const random = seededRandom(3);
  const owing = lottery.draw(100, random);
  lottery.setWeight(owing, 3);
  // Of the 100 messages it owes 50, which it goes without while it gets 3 of 4 of what follows.
  const { messages } = drawMany(lottery, { packets: 4000, random });
  assertLess(Math.abs(messages[owing]! - (3000 - 50)), 3);
});

Deno.test("lottery.draw() is -1 without entries, and the one entry when there is one", () => {
  const lottery = new Lottery();
  const random = seededRandom(1);
  assertEquals(lottery.draw(1, random), -1);
  lottery.setWeight(7, 0.1);
  assertEquals(lottery.size, 1);
  assertEquals(lottery.share(7), 1);
  for (let i = 0; i < 1000; i++) assertEquals(lottery.draw(logUniform(random), random), 7);
  lottery.setWeight(7, 0);
  assertEquals([lottery.size, lottery.share(7), lottery.draw(1, random)], [0, 0, -1]);
});

Deno.test("lottery.draw() keeps the shares of 1000 entries", () => {
  const weights = Array.from({ length: 1000 }, (_, i) => 1 + i % 10);
  const drawn = drawMany(createLottery(weights), { packets: 100_000, random: seededRandom(9) });
  assertLessOrEqual(worstError(drawn, weights), 3 / 100_000);
});

Deno.test("lottery.draw() passes over the entries to avoid while any other takes part", () => {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(4);
  const packets = 10_000;
  const { messages } = drawMany(lottery, { packets, random, avoid: [0, 3, 99] });
  assertEquals([messages[0], messages[3]], [undefined, undefined]);
  // These are independent draws among 0.3 and 0.2: binomial, five σ.
  assertLess(Math.abs(messages[1]! - 0.6 * packets), 5 * Math.sqrt(packets * 0.6 * 0.4));
  for (let i = 0; i < 100; i++) assertEquals(lottery.draw(1, random, [0, 1, 2]), 3);
  assert(lottery.draw(1, random, [0, 1, 2, 3]) >= 0, "all to be avoided: any will do");
});

Deno.test("lottery.draw() books avoided draws, so that shares even out afterwards", () => {
  const lottery = createLottery(WEIGHTS);
  const random = seededRandom(6);
  const all = [0, 0, 0, 0];
  for (let i = 0; i < 100_000; i++) all[lottery.draw(1, random, i % 20 === 0 ? [0] : [])]!++;
  // The last avoided draws may still be owed: a few packets of 100,000.
  all.forEach((got, i) => assertLess(Math.abs(got - WEIGHTS[i]! * 100_000), 20, `entry ${i}`));
});

Deno.test("lottery.draw() holds with weights of 1e6 beside 1e-6", () => {
  const lottery = createLottery([1e6, 1e-6, 1e6, 5e5]);
  const drawn = drawMany(lottery, { packets: 50_000, random: seededRandom(8) });
  assertLessOrEqual(worstError(drawn, [1e6, 1e-6, 1e6, 5e5]), 3 / 50_000);
});

Deno.test("lottery.setWeight() keeps shares exact when the total weight leaps", () => {
  const lottery = createLottery([1e-6]);
  const random = seededRandom(8);
  drawMany(lottery, { packets: 100, random });
  lottery.setWeight(1, 1e6);
  lottery.setWeight(2, 3e6);
  const up = drawMany(lottery, { packets: 10_000, random });
  assertLessOrEqual(worstError(up, [1e-6, 1e6, 3e6]), 3 / 10_000);
  lottery.setWeight(1, 1e-6);
  lottery.setWeight(2, 3e-6);
  const down = drawMany(lottery, { packets: 10_000, random });
  assertLessOrEqual(worstError(down, [1e-6, 1e-6, 3e-6]), 8 / 10_000);
});

Deno.test("lottery.draw() holds with the smallest weights that a number can have", () => {
  const lottery = createLottery([5e-324, 5e-324]);
  const random = seededRandom(2);
  const size = () => 1000;
  const tiny = drawMany(lottery, { packets: 10_000, random, size });
  assertLessOrEqual(worstError(tiny, [1, 1]), 3 / 10_000);
  lottery.setWeight(2, 0.5);
  lottery.setWeight(3, 1.5);
  const joined = drawMany(lottery, { packets: 10_000, random, size });
  assertLessOrEqual(worstError(joined, [0, 0, 1, 3]), 3 / 10_000);
});

Deno.test("lottery.setWeight() takes entries in any order, far apart, and again", () => {
  const lottery = new Lottery();
  const random = seededRandom(12);
  for (const entry of [15, 16, 100, 0, 999]) lottery.setWeight(entry, 1);
  drawMany(lottery, { packets: 100, random });
  for (const entry of [16, 0]) lottery.setWeight(entry, 0);
  assertEquals(lottery.weight(5000), 0);
  lottery.setWeight(16, 3);
  const { messages } = drawMany(lottery, { packets: 6000, random });
  const expected = { 15: 1000, 16: 3000, 100: 1000, 999: 1000 };
  for (const [entry, share] of Object.entries(expected)) {
    assertLess(Math.abs(messages[Number(entry)]! - share), 4, `entry ${entry}`);
  }
  assertEquals(messages[0], undefined);
});

function nanosecondsPerDraw(entries: number): number {
  const lottery = createLottery(Array.from({ length: entries }, (_, i) => 1 + i % 7));
  const random = seededRandom(1);
  drawMany(lottery, { packets: 5000, random });
  let best = Infinity;
  for (let round = 0; round < 7; round++) {
    const startedMs = performance.now();
    drawMany(lottery, { packets: 5000, random });
    best = Math.min(best, (performance.now() - startedMs) * 1e6 / 5000);
  }
  return best;
}

// log₂ 1000 / log₂ 4 is 5; a linear draw would be 250 times as slow.
Deno.test("lottery.draw() costs at most logarithmically more with 1000 entries than with 4", () => {
  assertLess(nanosecondsPerDraw(1000) / nanosecondsPerDraw(4), 15);
});

Deno.test("lottery.share() is the entry's part of the total weight", () => {
  const lottery = createLottery([4, 3, 2, 1]);
  [0.4, 0.3, 0.2, 0.1].forEach((share, i) => assertAlmostEquals(lottery.share(i), share));
});
