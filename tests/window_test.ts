import { assertEquals } from "@std/assert";
import { seededRandom } from "../src/random.ts";
import { WINDOW_SECONDS, WindowedHistogram, WindowedSum } from "../src/window.ts";

Deno.test("windowedSum.total() counts the last minute, by whole seconds", () => {
  const sum = new WindowedSum();
  sum.add(5, 10_000);
  sum.add(7, 10_999);
  sum.add(1, 11_000);
  assertEquals(sum.total(11_000), 13);
  assertEquals(sum.total(69_999), 13);
  assertEquals(sum.total(70_000), 1);
  assertEquals(sum.total(70_999), 1);
  assertEquals(sum.total(71_000), 0);
});

Deno.test("windowedSum.total() is 0 after any long pause, and counts again", () => {
  for (const pauseMs of [60_000, 61_000, 120_000, 3_600_000_000]) {
    const sum = new WindowedSum();
    for (let second = 0; second < 100; second++) sum.add(3, second * 1000);
    assertEquals(sum.total(99_000 + pauseMs), 0, `${pauseMs} ms`);
    sum.add(2, 99_000 + pauseMs);
    assertEquals(sum.total(99_000 + pauseMs), 2, `${pauseMs} ms`);
  }
});

Deno.test("windowedSum.total() equals a plain sum over any amounts and times", () => {
  const random = seededRandom(1);
  const sum = new WindowedSum();
  const added: { second: number; amount: number }[] = [];
  let nowMs = 1234;
  for (let i = 0; i < 2000; i++) {
    nowMs += random() ** 8 * 30_000;
    const amount = Math.floor(random() * 1000);
    sum.add(amount, nowMs);
    added.push({ second: Math.floor(nowMs / 1000), amount });
    const from = Math.floor(nowMs / 1000) - WINDOW_SECONDS;
    const expected = added.filter(({ second }) => second > from)
      .reduce((total, entry) => total + entry.amount, 0);
    assertEquals(sum.total(nowMs), expected, `${nowMs}`);
  }
});

Deno.test("windowedHistogram.read() holds the present and the past half minute", () => {
  const histogram = new WindowedHistogram();
  const countAt = (nowMs: number) => histogram.read(nowMs).count;
  histogram.record(1, 0, 2);
  histogram.record(1, 29_999);
  assertEquals(countAt(29_999), 3);
  histogram.record(1, 30_000);
  assertEquals(countAt(59_999), 4);
  assertEquals(countAt(60_000), 1);
  assertEquals(countAt(90_000), 0);
});

Deno.test("windowedHistogram.read() is empty after a long pause, and counts again", () => {
  const histogram = new WindowedHistogram();
  histogram.record(1, 0);
  histogram.record(2, 30_000);
  assertEquals(histogram.read(500_000).count, 0);
  histogram.record(3, 500_000);
  assertEquals(histogram.read(500_000).maxMs, 3);
  assertEquals(histogram.read(500_000).count, 1);
});

Deno.test("windowedHistogram.read() gives a copy", () => {
  const histogram = new WindowedHistogram();
  histogram.record(1, 0);
  const read = histogram.read(0);
  read.record(2);
  histogram.record(3, 0);
  assertEquals([read.count, histogram.read(0).count], [2, 2]);
});
