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
import { type Random, seededRandom } from "../src/random.ts";

const WEIGHTS = [0.4, 0.3, 0.2, 0.1];

function createLottery(weights: readonly number[]): Lottery {
  const lottery = new Lottery();
  weights.forEach((weight, entry) => lottery.setWeight(entry, weight));
  return lottery;
}

/** Sizes whose logarithm is uniform: half of all messages come in packets of over 500. */
function logUniform(random: Random): number {
  return Math.floor(1000 ** random());
}

interface Drawn {
  /** Messages by entry. */
  readonly messages: number[];
  readonly total: number;
  readonly largest: number;
}

function drawMany(
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
function worstError(drawn: Drawn, weights: readonly number[]): number {
  const sum = weights.reduce((a, b) => a + b);
  return Math.max(
    ...weights.map((weight, i) => Math.abs((drawn.messages[i] ?? 0) / drawn.total - weight / sum)),
  );
}

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

/** The lottery as its docstring tells it, every sum made afresh: O(n) a draw. */
class Twin {
  readonly weights: number[] = [];
  readonly credits: number[] = [];
  readonly suspended: boolean[] = [];
  pot = 0;
  #mean = 1;
  #seen = 0;
  /** What an entry may run ahead, per unit of weight; used up by the credit of each packet. */
  #lead = 0;

  get #total(): number {
    return this.weights.reduce((a, b) => a + b, 0);
  }

  setWeight(entry: number, weight: number): void {
    const before = this.weights[entry] ?? 0;
    const wasEmpty = this.#total === 0;
    this.weights[entry] = weight;
    if (before === 0 || weight === 0) {
      this.pot += weight === 0 ? this.credits[entry] ?? 0 : 0;
      this.credits[entry] = 0;
      this.suspended[entry] = false;
    }
    if (this.#total === 0) this.pot = 0;
    else if (wasEmpty) this.#lead = 2 * this.#mean / this.#total;
  }

  setSuspended(entry: number, suspended: boolean): void {
    if (!this.weights[entry] || this.suspended[entry] === suspended) return;
    this.suspended[entry] = suspended;
    if (suspended) return;
    const most = Math.min(16, 32 * this.weights[entry]! / this.#total) * this.#mean;
    const excess = Math.max(0, this.credits[entry]! - most);
    const debts = this.weights.map((weight, i) => weight ? Math.max(0, -this.credits[i]!) : 0);
    const owed = debts.reduce((a, b) => a + b, 0);
    const forgiven = Math.min(excess, owed);
    this.credits[entry]! -= excess;
    this.pot += excess - forgiven;
    if (owed > 0) debts.forEach((debt, i) => this.credits[i]! += forgiven * debt / owed);
  }

  /** Credits a packet and fails unless `drawn` is the entry that `chance` points at. */
  check(messages: number, drawn: number, chance: number, avoid: readonly number[]): void {
    const total = this.#total;
    this.#seen = Math.min(this.#seen + 1, 1000);
    this.#mean += (messages - this.#mean) / this.#seen;
    this.#lead = Math.max(this.#lead, 2 * this.#mean / total);
    const credit = Math.max(0, messages + this.pot);
    this.pot += messages - credit;
    this.#lead -= credit / total;
    this.weights.forEach((weight, i) => this.credits[i]! += credit * weight / total);
    this.#assertPointed(drawn, chance, avoid);
    this.credits[drawn]! -= messages;
  }

  #assertPointed(drawn: number, chance: number, avoid: readonly number[]): void {
    const open = this.weights.map((weight, i) => this.suspended[i] ? 0 : weight);
    const others = open.map((weight, i) => avoid.includes(i) ? 0 : weight);
    const owed = open.map((weight, i) =>
      weight > 0 ? this.credits[i]! + weight * this.#lead : -Infinity
    );
    const byWeight = avoid.length > 0 && others.some((weight) => weight > 0);
    let tickets = byWeight ? others : owed.map((count) => Math.max(0, count));
    if (tickets.every((count) => count < 1e-6)) {
      const perWeight = owed.map((count, i) => count / this.weights[i]!);
      if (perWeight[drawn]! >= Math.max(...perWeight) - 1e-6) return;
      assert(this.suspended.includes(true), "the one that is owed the most");
      tickets = open;
    }
    const sum = tickets.reduce((a, b) => a + b, 0);
    const from = tickets.slice(0, drawn).reduce((a, b) => a + b, 0);
    const margin = 1e-6 * (1 + sum);
    assert(
      chance * sum > from - margin && chance * sum < from + tickets[drawn]! + margin,
      `drew ${drawn}, tickets ${tickets}, chance ${chance}`,
    );
  }
}

Deno.test("lottery does exactly what a simple twin does, whatever comes, and loses no credit", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const lottery = new Lottery();
    const twin = new Twin();
    const random = seededRandom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const set = (entry: number, weight: number) => {
      lottery.setWeight(entry, weight);
      twin.setWeight(entry, weight);
    };
    const suspend = (entry: number, suspended: boolean) => {
      lottery.setSuspended(entry, suspended);
      twin.setSuspended(entry, suspended);
    };
    for (let entry = 0; entry < 12; entry++) set(entry, 0.5 + 4 * random());
    let total = 0;
    let closed = 0;
    for (let step = 0; step < 10_000; step++) {
      if (pick(10) === 0) set(pick(12), pick(3) === 0 ? 0 : 0.5 + 4 * random());
      if (pick(1000) === 0) { for (let entry = 0; entry < 12; entry++) set(entry, 0); }
      if (pick(4) === 0) suspend(pick(12), pick(3) === 0);
      if (pick(300) === 0) { for (let entry = 0; entry < 12; entry++) suspend(entry, true); }
      const messages = logUniform(random);
      const avoid = pick(20) === 0 ? [pick(12), pick(12)] : [];
      const chance = random();
      const drawn = lottery.draw(messages, () => chance, avoid);
      if (drawn < 0) {
        assert(twin.weights.every((weight, i) => weight === 0 || twin.suspended[i]));
        closed++;
        continue;
      }
      twin.check(messages, drawn, chance, avoid);
      total += messages;
    }
    const left = twin.credits.reduce((a, b) => a + b, twin.pot);
    assertLess(Math.abs(left), 1e-9 * total, `seed ${seed}`);
    assert(closed > 10 && closed < 5000, `nobody could be drawn ${closed} times`);
  }
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
