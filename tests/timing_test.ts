import { assert, assertEquals } from "@std/assert";
import { BOUNDS_MS, Timing, TimingDelta } from "../src/timing.ts";

Deno.test("timing.observe() counts each duration in the one bucket that holds it", () => {
  const timing = new Timing();
  for (const ms of [0, 0.25, 0.26, 1000, 1e9, -1]) timing.observe(ms);
  const at = (boundMs: number) => timing.counts[BOUNDS_MS.indexOf(boundMs)];
  assertEquals([at(0.25), at(0.5), at(1000), timing.counts.at(-1)], [3, 1, 1, 1]);
  assertEquals(timing.count, 6);
  assertEquals(timing.sumMs, 0.25 + 0.26 + 1000 + 1e9);
});

Deno.test("timing bounds rise", () => {
  assertEquals(BOUNDS_MS, BOUNDS_MS.toSorted((a, b) => a - b));
});

Deno.test("timingDelta.quantileMs() is of what came between two turns, and null of nothing", () => {
  const timing = new Timing();
  const delta = new TimingDelta(timing);
  timing.observe(9000);
  delta.turn();
  assertEquals(delta.quantileMs(0.5), 7000);
  for (let i = 0; i < 100; i++) timing.observe(4);
  timing.observe(400);
  delta.turn();
  const [p50, p99, p100] = [0.5, 0.99, 1].map((part) => delta.quantileMs(part)!);
  assert(p50! > 3 && p50! < 5, String(p50));
  assert(p99! > 3 && p99! <= 5, String(p99));
  assertEquals(p100, 400, "the longest, not the bound of its bucket");
  delta.turn();
  assertEquals(delta.quantileMs(0.5), null);
  timing.observe(2 * 3600_000);
  delta.turn();
  assertEquals(delta.quantileMs(0.5), 2 * 3600_000, "beyond all bounds");
});
