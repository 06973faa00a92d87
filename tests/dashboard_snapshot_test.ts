import { assert, assertEquals } from "@std/assert";
import { MAX_CHARTED } from "../src/dashboard/client/series.js";
import { HISTORY_SECONDS, Sampler } from "../src/dashboard/snapshot.ts";
import { Instruments } from "../src/instruments.ts";
import type { MetricsView } from "../src/metrics.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** Counters that a test turns by hand. */
function setUp(analyzers = 2) {
  const clock = new FakeClock();
  const instruments = new Instruments(clock);
  const state = {
    received: { packets: 0, messages: 0, bytes: 0 },
    delivered: { packets: 0, messages: 0 },
    rejected: { packets: 0, by_code: {} },
    queued: { packets: 0 },
    analyzers: Array.from({ length: analyzers }, (_, i) => ({
      id: `a${i}`,
      weight: i + 1,
      delivered: { packets: 0, messages: 0 },
    })),
  };
  const read = () => state as unknown as MetricsView;
  const sampler = new Sampler({
    clock,
    instruments,
    state: read,
    glance: read,
    memoryBytes: () => 1,
    unready: () => undefined,
    warnings: () => [],
    boot: "b",
  });
  const second = () => {
    clock.advance(1000);
    sampler.turn();
  };
  return { clock, state, instruments, sampler, second };
}

Deno.test("sampler.turn() makes rates and quantiles of one second", () => {
  const { state, instruments, sampler, second } = setUp();
  state.received = { packets: 5, messages: 50, bytes: 500 };
  state.delivered.messages = 40;
  state.analyzers[0]!.delivered.messages = 30;
  instruments.endToEnd.observe(4);
  second();
  const { point } = sampler.snapshot()!;
  assertEquals(
    [point.accepted, point.packets, point.delivered, point.by],
    [50, 5, 40, { a0: 30, a1: 0 }],
  );
  assertEquals(point.p50, 3.5, "half way into its bucket, which ends at the longest");
  second();
  assertEquals(sampler.snapshot()!.point.accepted, 0);
  assertEquals(sampler.snapshot()!.point.p50, null);
});

Deno.test("sampler counts what an analyzer has done only from when it knows it", () => {
  const { state, sampler, second } = setUp(0);
  second();
  state.analyzers.push({ id: "late", weight: 1, delivered: { packets: 9, messages: 900 } });
  second();
  assertEquals(sampler.snapshot()!.point.by, { late: 0 });
});

Deno.test("sampler.history() has no future, where a clock was set back", () => {
  const { clock, sampler, second } = setUp();
  for (let i = 0; i < 10; i++) second();
  const t = sampler.snapshot()!.point.t;
  clock.stepWall(clock.wallMs() - 3600_000);
  second();
  second();
  assertEquals(sampler.history().points.map((point) => Math.round(point.t - t)), [-3599, -3598]);
});

Deno.test("sampler.history() is bounded in seconds and in analyzers", () => {
  const { sampler, second } = setUp(MAX_CHARTED + 1);
  for (let i = 0; i < HISTORY_SECONDS + 50; i++) second();
  const { points } = sampler.history();
  assertEquals(points.length, HISTORY_SECONDS);
  assertEquals(Object.keys(points.at(-1)!.by).length, MAX_CHARTED);
  assert(!("a0" in points.at(-1)!.by), "the one with the least weight");
  assertEquals(Object.keys(sampler.snapshot()!.point.by).length, MAX_CHARTED + 1, "all of now");
});
