import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseEvents } from "../src/dashboard/client/events.js";
import { Sampler } from "../src/dashboard/snapshot.ts";
import { EventStream, MAX_VIEWERS } from "../src/dashboard/stream.ts";
import { ApiError } from "../src/errors.ts";
import { Instruments } from "../src/instruments.ts";
import type { MetricsView } from "../src/metrics.ts";
import { eventually } from "./support/eventually.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { quietLog } from "./support/quiet_log.ts";

function setUp() {
  const clock = new FakeClock();
  let reads = 0;
  const turns: number[] = [];
  let isBroken = false;
  const state = {
    received: { packets: 0, messages: 0 },
    delivered: { packets: 0, messages: 0 },
    rejected: { packets: 0 },
    queued: { packets: 0 },
    analyzers: [],
  } as unknown as MetricsView;
  const sampler = new Sampler({
    clock,
    instruments: new Instruments(clock),
    state: () => {
      if (isBroken) throw new Error("broken");
      reads++;
      return state;
    },
    glance: () => {
      turns.push(clock.monotonicMs());
      return state;
    },
    memoryBytes: () => 1,
    unready: () => undefined,
    warnings: () => [],
    boot: "b",
  });
  const faults: unknown[] = [];
  const log = quietLog({ error: (_, fields) => void faults.push(fields?.error) });
  return {
    clock,
    faults,
    stream: new EventStream(sampler, { clock, log }),
    reads: () => reads,
    turns: () => turns.slice(1),
    break: () => isBroken = true,
  };
}

/** Resolves when what a tick has made is written. */
async function delivered(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

/** Reads events until there are so many. */
async function readEvents(response: Response, count: number): Promise<string[]> {
  const names: string[] = [];
  let rest = "";
  const reader = response.body!.getReader();
  while (names.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    rest = parseEvents(rest + new TextDecoder().decode(value), (name: string) => names.push(name));
  }
  reader.releaseLock();
  return names;
}

Deno.test("eventStream sends the history once, then a snapshot a second to all, made once", async () => {
  const { clock, stream, reads } = setUp();
  const viewers = [1, 2, 3].map(() => stream.open());
  assertEquals(stream.viewers, 3);
  await delivered();
  clock.advance(1000);
  for (const viewer of viewers) assertEquals(await readEvents(viewer, 2), ["history", "snapshot"]);
  assertEquals(reads(), 1);
  stream.close();
});

Deno.test("eventStream's seconds are whole ones, after a stall too", async () => {
  const { clock, stream, turns } = setUp();
  stream.open();
  for (const ms of [1000, 1003, 997, 3400, 5, 600, 395, 1000]) clock.stall(ms);
  await delivered();
  const lengths = turns().map((atMs, i, all) => atMs - (all[i - 1] ?? 0));
  assertEquals(lengths, [1000, 1003, 997, 3400, 1000, 1000]);
  stream.close();
});

Deno.test("eventStream outlives a fault in the picture, and keeps no viewer for it", async () => {
  const { clock, stream, faults, ...setup } = setUp();
  const before = stream.open();
  await delivered();
  clock.advance(1000);
  await delivered();
  setup.break();
  clock.advance(1000);
  await delivered();
  for (let i = 0; i < 5; i++) assertEquals(await readEvents(stream.open(), Infinity), []);
  assertEquals(stream.viewers, 1);
  assert(faults.length >= 2 && String(faults[0]).includes("broken"));
  stream.close();
  assertEquals(await readEvents(before, Infinity), ["history", "snapshot"]);
});

Deno.test("eventStream makes no snapshot while nobody watches", () => {
  const { clock, stream, reads } = setUp();
  clock.advance(10_000);
  assertEquals(reads(), 0);
  stream.close();
  assertEquals(clock.timers, 0);
});

Deno.test("eventStream holds no more than a few events for a viewer that does not read", async () => {
  const { clock, stream } = setUp();
  const viewer = stream.open();
  const other = stream.open();
  await readEvents(other, 1);
  for (let i = 0; i < 100; i++) {
    clock.advance(1000);
    await readEvents(other, 1);
  }
  stream.close();
  const names = await readEvents(viewer, Infinity);
  assert(names.length <= 6, `${names.length} events were kept`);
});

Deno.test("eventStream lets go of a viewer that has not read for half a minute, and of no other", async () => {
  const { clock, stream } = setUp();
  const silent = stream.open();
  const slow = (stream.open()).body!.getReader();
  for (let i = 0; i < 60; i++) {
    clock.advance(1000);
    await delivered();
    if (i % 20 === 19) { for (let n = 0; n < 4; n++) await slow.read(); }
  }
  assertEquals(stream.viewers, 1);
  assert((await readEvents(silent, Infinity)).length < 10, "its stream has ended");
  stream.close();
});

Deno.test("eventStream forgets a viewer that leaves", async () => {
  const { stream } = setUp();
  const { body } = stream.open();
  await body!.cancel();
  assertEquals(stream.viewers, 0);
  stream.close();
});

Deno.test("eventStream refuses one viewer too many, and everybody once closed", async () => {
  const { stream } = setUp();
  // All in the same moment: none of them has been sent anything yet.
  for (let i = 0; i < MAX_VIEWERS; i++) stream.open();
  const tooMany = assertThrows(() => stream.open(), ApiError);
  assertEquals([tooMany.code, tooMany.status], ["TOO_MANY_VIEWERS", 503]);
  stream.close();
  await eventually(() => stream.viewers === 0, { name: "all have gone" });
  const closed = assertThrows(() => stream.open(), ApiError);
  assertEquals(closed.code, "DRAINING");
});
