import { assert, assertEquals, assertLess, assertMatch, assertNotEquals } from "@std/assert";
import { randomId, seededRandom, systemRandom } from "../src/random.ts";

function take(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, random);
}

Deno.test("seededRandom() gives the same sequence for the same seed, another for another", () => {
  assertEquals(take(7, 100), take(7, 100));
  const firsts = new Set(Array.from({ length: 10_000 }, (_, seed) => take(seed, 1)[0]));
  // 10,000 draws from 2³² values meet with a chance of 1 in 86.
  assert(firsts.size >= 9_999, `${firsts.size} different first values of 10,000 seeds`);
  assertNotEquals(take(0, 100), take(-1, 100));
});

Deno.test("seededRandom() is pinned: the sequence of a seed never changes", () => {
  assertEquals(take(1, 3), [0.7132768968585879, 0.012132219038903713, 0.0008196849375963211]);
});

Deno.test("seededRandom() and systemRandom are uniform in [0, 1)", () => {
  for (const random of [seededRandom(42), systemRandom]) {
    const count = 100_000;
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < count; i++) {
      const value = random();
      assert(value >= 0 && value < 1, `${value}`);
      tenths[Math.floor(value * 10)]!++;
    }
    // Each tenth is binomial: σ = √(n·p·(1−p)) ≈ 95. Six σ: less than one false alarm in 10⁷ runs.
    const sigma = Math.sqrt(count * 0.1 * 0.9);
    for (const seen of tenths) assertLess(Math.abs(seen - count / 10), 6 * sigma);
  }
});

Deno.test("randomId() gives version 4 UUIDs, each once", () => {
  const ids = new Set(Array.from({ length: 1000 }, randomId));
  assertEquals(ids.size, 1000);
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  for (const id of ids) assertMatch(id, uuid);
});
