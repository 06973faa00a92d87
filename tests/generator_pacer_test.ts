import { assert, assertEquals, assertRejects } from "@std/assert";
import { PacketFactory } from "../generator/packets.ts";
import { Pacer, Schedule, type ScheduleOptions } from "../generator/pacer.ts";
import { showProgress } from "../generator/progress.ts";
import { Tally } from "../generator/report.ts";
import { Run, type RunOptions } from "../generator/run.ts";
import type { Sender } from "../generator/sender.ts";
import { type Answer, HttpError } from "../src/http_error.ts";
import type { Cancel, Clock } from "../src/clock.ts";

/** Time that passes only when told to. */
class FakeClock implements Clock {
  #nowMs = 0;
  #timers = new Set<{ atMs: number; fn: () => void }>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2024, 0, 1) + this.#nowMs;
  }

  after(delayMs: number, fn: () => void): Cancel {
    const timer = { atMs: this.#nowMs + delayMs, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and everything happen that it brings about. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (true) {
      const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
      if (!next || next.atMs > endMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn();
      await settle();
    }
    this.#nowMs = endMs;
  }

  /** Time passes while nothing gets to run. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

Deno.test("schedule.total is duration times rate, or the packets asked for", () => {
  const total = (ratePerSecond: number, options: Omit<ScheduleOptions, "ratePerSecond">) =>
    new Schedule({ ratePerSecond, ...options }).total;
  assertEquals(total(20, { durationMs: 60_000 }), 1200);
  assertEquals(total(0.1, { durationMs: 30_000 }), 3);
  assertEquals(total(3, { durationMs: 1100 }), 4);
  assertEquals(total(20_000, { durationMs: 60_000 }), 1_200_000);
  assertEquals(total(20, { durationMs: 60_000, packets: 7 }), 7);
  assertEquals(total(20, { durationMs: 1000, packets: 70 }), 20);
  assertEquals(total(20, {}), Infinity);
});

Deno.test("schedule.countDueBy() agrees with dueAtMs() at every edge", () => {
  for (const ratePerSecond of [0.3, 7, 10, 333, 20_000, 999_983]) {
    const schedule = new Schedule({ ratePerSecond });
    for (let index = 0; index < 5000; index++) {
      const dueAtMs = schedule.dueAtMs(index);
      assertEquals(schedule.countDueBy(dueAtMs), index + 1, `packet ${index} at ${ratePerSecond}`);
    }
  }
});

Deno.test("schedule.dueAtMs() does not drift", () => {
  const schedule = new Schedule({ ratePerSecond: 3 });
  assertEquals(schedule.dueAtMs(3 * 3600 * 24 * 365), 3600 * 24 * 365 * 1000);
});

Deno.test("pacer lets each packet go at its time, rounded up to a millisecond", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  const schedule = new Schedule({ ratePerSecond: 300, packets: 7 });
  const pacer = new Pacer(schedule, {
    clock,
    onDue(count) {
      while (times.length < count) times.push(clock.monotonicMs());
    },
  });
  pacer.start();
  await clock.advance(1000);
  assertEquals(times, [0, 4, 7, 10, 14, 17, 20]);
  assertEquals(clock.pending, 0);
});

Deno.test("pacer catches up at once after a stall and loses nothing", async () => {
  const clock = new FakeClock();
  const counts: number[] = [];
  const schedule = new Schedule({ ratePerSecond: 1000, durationMs: 100 });
  const pacer = new Pacer(schedule, { clock, onDue: (count) => counts.push(count) });
  pacer.start();
  await clock.advance(10);
  clock.stall(50);
  await clock.advance(1);
  assertEquals(counts.slice(10), [11, 61, 62]);
  await clock.advance(100);
  assertEquals(counts.at(-1), 100);
});

Deno.test("pacer.stop() from inside leaves no timer", () => {
  const clock = new FakeClock();
  const pacer = new Pacer(new Schedule({ ratePerSecond: 10 }), {
    clock,
    onDue: () => pacer.stop(),
  });
  pacer.start();
  assertEquals(clock.pending, 0);
});

/** Answers when told to. */
class FakeSender implements Sender {
  readonly posts: { body: Uint8Array; answer: (answer: Answer) => void }[] = [];
  readonly #rejects = new Set<(error: Error) => void>();
  onPost: (() => Answer | Promise<Answer>) | undefined;

  connect(): Promise<void> {
    return Promise.resolve();
  }

  post(body: Uint8Array): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.posts.push({ body, answer: resolve });
    this.#rejects.add(reject);
    if (this.onPost) resolve(this.onPost());
    return promise;
  }

  close(): void {
    for (const reject of this.#rejects) reject(new HttpError("interrupted", "closed"));
  }
}

type Changes = Partial<RunOptions> & { schedule: Schedule };

function setUp(changes: Changes) {
  const clock = new FakeClock();
  const sender = new FakeSender();
  const batch = { min: 2, max: 2 };
  const packets = new PacketFactory({ agent: "a", runId: "r", seed: 1, batch });
  const defaults = { concurrency: 100, retry: false, giveUpMs: Infinity };
  return { clock, sender, run: new Run({ ...defaults, clock, sender, packets, ...changes }) };
}

Deno.test("run.send() keeps to the schedule though nothing is answered", async () => {
  const schedule = new Schedule({ ratePerSecond: 100, packets: 10 });
  const { clock, sender, run } = setUp({ schedule });
  const done = run.send();
  for (let sent = 1; sent <= 10; sent++) {
    assertEquals(sender.posts.length, sent);
    await clock.advance(10);
  }
  for (const { answer } of sender.posts) answer({ status: 202 });
  const tally = await done;
  assertEquals([tally.sent, tally.accepted, tally.messagesAccepted, tally.late], [10, 10, 20, 0]);
  assertEquals(tally.achievedRate, 100);
  assertEquals(tally.latency.maxMs, 100);
  assertEquals(clock.pending, 0);
});

Deno.test("run.send() measures from the intended time when a stall holds packets back", async () => {
  const schedule = new Schedule({ ratePerSecond: 10, packets: 10 });
  const { clock, sender, run } = setUp({ schedule, concurrency: 1 });
  const done = run.send();
  await clock.advance(1000);
  assertEquals(sender.posts.length, 1);
  sender.onPost = () => ({ status: 202 });
  sender.posts[0]!.answer({ status: 202 });
  const { latency, late, accepted } = await done;
  assertEquals([accepted, late], [10, 9]);
  assertEquals(latency.maxMs, 1000);
  assertEquals(latency.meanMs, 550);
});

Deno.test("run.send() counts each kind of end once", async () => {
  const schedule = new Schedule({ ratePerSecond: 1000, packets: 6 });
  const { clock, sender, run } = setUp({ schedule });
  const statuses = [202, 503, 429, 422, 202];
  sender.onPost = () => {
    const status = statuses.shift();
    return status === undefined
      ? Promise.reject(new HttpError("closed", "gone"))
      : { status, retryAfterMs: 1000 };
  };
  const done = run.send();
  await clock.advance(100);
  const tally = await done;
  assertEquals([
    tally.sent,
    tally.accepted,
    tally.refused,
    tally.errors,
    tally.failed,
    tally.retried,
  ], [
    6,
    2,
    2,
    1,
    1,
    0,
  ]);
  assertEquals(Object.fromEntries(tally.byStatus), { 202: 2, 422: 1, 429: 1, 503: 1 });
  assertEquals(Object.fromEntries(tally.byFault), { closed: 1 });
});

Deno.test("run.send() with retry resends the same packet after its Retry-After", async () => {
  const schedule = new Schedule({ ratePerSecond: 1, packets: 1 });
  const { clock, sender, run } = setUp({ schedule, retry: true });
  const answers: Answer[] = [{ status: 503, retryAfterMs: 3000 }, { status: 429 }, { status: 202 }];
  sender.onPost = () => answers.shift()!;
  const done = run.send();
  await clock.advance(2999);
  assertEquals(sender.posts.length, 1);
  await clock.advance(1);
  assertEquals(sender.posts.length, 2);
  await clock.advance(1000);
  const tally = await done;
  assertEquals(sender.posts.length, 3);
  assert(sender.posts.every(({ body }) => body === sender.posts[0]!.body));
  assertEquals([tally.sent, tally.accepted, tally.refused, tally.retried], [1, 1, 0, 2]);
  assertEquals(tally.latency.maxMs, 4000);
});

Deno.test("run.interrupt() stops sending and gives answers under way two seconds", async () => {
  const schedule = new Schedule({ ratePerSecond: 10 });
  const { clock, sender, run } = setUp({ schedule, concurrency: 2 });
  const done = run.send();
  await clock.advance(450);
  run.interrupt();
  await clock.advance(1000);
  sender.posts[0]!.answer({ status: 202 });
  await clock.advance(1000);
  const tally = await done;
  assertEquals([tally.sent, tally.accepted, tally.failed, tally.unsent], [2, 1, 1, 3]);
  assertEquals(tally.interrupted, true);
  assertEquals(Object.fromEntries(tally.byFault), { interrupted: 1 });
  assertEquals(clock.pending, 0);
});

Deno.test("run.interrupt() ends the waiting of refused packets", async () => {
  const schedule = new Schedule({ ratePerSecond: 10, packets: 1 });
  const { clock, sender, run } = setUp({ schedule, retry: true });
  sender.onPost = () => ({ status: 503, retryAfterMs: 60_000 });
  const done = run.send();
  await clock.advance(10);
  run.interrupt();
  const tally = await done;
  assertEquals([tally.refused, tally.retried], [1, 0]);
  assertEquals(clock.pending, 0);
});

Deno.test("run.send() gives up what is overdue, and says how much", async () => {
  const schedule = new Schedule({ ratePerSecond: 10, durationMs: 1000 });
  const { clock, sender, run } = setUp({ schedule, concurrency: 1, giveUpMs: 1500 });
  const done = run.send();
  await clock.advance(1600);
  sender.posts[0]!.answer({ status: 202 });
  const tally = await done;
  assertEquals([tally.sent, tally.accepted, tally.unsent], [1, 1, 9]);
});

Deno.test("run.send() passes a fault of the program on", async () => {
  const { sender, run } = setUp({ schedule: new Schedule({ ratePerSecond: 1, packets: 1 }) });
  sender.onPost = () => Promise.reject(new TypeError("bug"));
  await assertRejects(() => run.send(), TypeError, "bug");
});

Deno.test("showProgress() writes a line each five seconds where there is no terminal", async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const tally = new Tally();
  const writeLine = (line: string) => lines.push(line);
  const stop = showProgress(tally, { total: 100, terminal: false, clock, writeLine });
  tally.sent = 1000;
  await clock.advance(5000);
  tally.refused = 3;
  await clock.advance(7000);
  await stop();
  assertEquals(lines, [
    "5 s  sent 1,000  accepted 0  p99 0.00 ms",
    "10 s  sent 1,000  accepted 0  refused 3  p99 0.00 ms",
  ]);
  assertEquals(clock.pending, 0);
});
