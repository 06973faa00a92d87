import { assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { Histogram } from "../src/histogram.ts";
import { seededRandom } from "../src/random.ts";

Deno.test("histogram.quantileMs() is wrong by less than 1 % from 1 µs to an hour", () => {
  const random = seededRandom(3);
  const histogram = new Histogram();
  const values = Array.from({ length: 10_000 }, () => 0.001 * 3.6e9 ** random());
  for (const value of values) histogram.record(value);
  values.sort((a, b) => a - b);
  for (const fraction of [0.1, 0.5, 0.95, 0.99, 0.999]) {
    const exact = values[Math.ceil(fraction * values.length) - 1]!;
    const error = Math.abs(histogram.quantileMs(fraction) - exact);
    // Half a microsecond is lost where microseconds are counted.
    assertLessOrEqual(error, Math.max(exact * 0.01, 0.0005), `p${fraction * 100} of ${exact}`);
  }
  assertEquals(histogram.maxMs, values.at(-1));
  assertEquals(histogram.quantileMs(1), values.at(-1));
});

Deno.test("histogram.quantileMs() takes ranks literally", () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 100; ms++) histogram.record(ms / 1000);
  assertEquals(histogram.quantileMs(0.5), 0.05);
  assertEquals(histogram.quantileMs(0.99), 0.099);
  assertEquals(histogram.quantileMs(0.991), 0.1);
  assertLess(Math.abs(histogram.meanMs - 0.0505), 1e-9);
});

Deno.test("histogram says 0 when empty, and keeps what exceeds its range", () => {
  const histogram = new Histogram();
  assertEquals([histogram.quantileMs(0.5), histogram.maxMs, histogram.meanMs], [0, 0, 0]);
  histogram.record(1e8);
  histogram.record(-1);
  assertEquals(histogram.count, 2);
  assertEquals(histogram.maxMs, 1e8);
});

Deno.test("histogram.record() counts a value several times at once", () => {
  const [once, often] = [new Histogram(), new Histogram()];
  for (let i = 0; i < 9; i++) once.record(0.25);
  once.record(8);
  often.record(0.25, 9);
  often.record(8);
  for (const fraction of [0, 0.5, 0.9, 0.91, 1]) {
    assertEquals(often.quantileMs(fraction), once.quantileMs(fraction), `${fraction}`);
  }
  assertEquals([often.count, often.meanMs], [10, once.meanMs]);
});

Deno.test("histogram.add() and clear() work on all that was counted", () => {
  const [sum, part] = [new Histogram(), new Histogram()];
  sum.record(1);
  part.record(3, 2);
  sum.add(part);
  assertEquals([sum.count, sum.maxMs, sum.quantileMs(1)], [3, 3, 3]);
  assertLess(Math.abs(sum.meanMs - 7 / 3), 1e-9);
  assertEquals(part.count, 2);
  sum.clear();
  assertEquals([sum.count, sum.maxMs, sum.meanMs, sum.quantileMs(0.5)], [0, 0, 0, 0]);
});

Deno.test("histogram.quantilesWith() is as if both were one", () => {
  const random = seededRandom(3);
  const [a, b, both] = [new Histogram(), new Histogram(), new Histogram()];
  const fractions = [0, 0.5, 0.95, 0.99, 1];
  assertEquals(a.quantilesWith(b, fractions), [0, 0, 0, 0, 0]);
  for (let i = 0; i < 1000; i++) {
    const ms = random() ** 4 * 5000;
    (i % 3 === 0 ? a : b).record(ms);
    both.record(ms);
  }
  const expected = fractions.map((fraction) => both.quantileMs(fraction));
  assertEquals(a.quantilesWith(b, fractions), expected);
});
