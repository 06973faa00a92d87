import { assert, assertEquals, assertGreaterOrEqual, assertThrows } from "@std/assert";
import { sleep, systemClock } from "../src/clock.ts";
import { FakeClock } from "./support/fake_clock.ts";

Deno.test("systemClock.after() fires once its delay has passed", async () => {
  const startedMs = systemClock.monotonicMs();
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  // The platform's timers count whole milliseconds and may be early by less than one.
  assertGreaterOrEqual(systemClock.monotonicMs() - startedMs, 4);
});

Deno.test("systemClock.after() returns a cancel that leaves no timer and may be called again", () => {
  const cancel = systemClock.after(60_000, () => {
    throw new Error("cancelled");
  });
  cancel();
  cancel();
});

Deno.test("systemClock.wallMs() is the time of day in milliseconds", () => {
  assert(Math.abs(systemClock.wallMs() - new Date().getTime()) < 1000);
});

Deno.test("sleep() resolves when its delay has passed, not before, and leaves nothing behind", async () => {
  const clock = new FakeClock();
  let isDone = false;
  const asleep = sleep(100, clock).then(() => isDone = true);
  clock.advance(99.9);
  await Promise.resolve();
  assert(!isDone);
  clock.advance(0.1);
  await asleep;
  assertEquals(clock.timers, 0);
});

Deno.test("sleep() resolves at once when its signal aborts, now or later, and cancels its timer", async () => {
  const clock = new FakeClock();
  await sleep(100, clock, AbortSignal.abort());
  const controller = new AbortController();
  const asleep = sleep(100, clock, controller.signal);
  assertEquals(clock.timers, 1);
  controller.abort();
  await asleep;
  assertEquals(clock.timers, 0);
});

Deno.test("fakeClock.advance() fires timers in order, each at its due time, with what they start", () => {
  const clock = new FakeClock({ monotonicMs: 1000 });
  const fired: string[] = [];
  const note = (name: string) => () => fired.push(`${name} at ${clock.monotonicMs()}`);
  clock.after(30, note("c"));
  clock.after(10, () => {
    note("a")();
    clock.after(10, note("b"));
    clock.after(90, note("never"));
  });
  clock.after(30, note("d"));
  clock.after(20, note("cancelled"))();
  clock.advance(50);
  assertEquals(fired, ["a at 1010", "b at 1020", "c at 1030", "d at 1030"]);
  assertEquals(clock.monotonicMs(), 1050);
  assertThrows(() => clock.after(-1, note("x")), RangeError);
  assertThrows(() => clock.after(NaN, note("x")), RangeError);
});

Deno.test("fakeClock.stepWall() moves the wall clock alone", () => {
  const clock = new FakeClock();
  clock.stepWall(5000);
  clock.advance(1);
  assertEquals([clock.monotonicMs(), clock.wallMs()], [1, 5001]);
});
