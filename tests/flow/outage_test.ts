/**
 * All analyzers gone under load: in memory, what does not fit is refused; on disk, it is a backlog.
 * Either way nothing is lost.
 */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { sleep, systemClock } from "../../src/clock.ts";
import { makePacket } from "../support/agent.ts";
import { Recorder } from "../support/recorder.ts";
import { eventually, startSystem } from "../support/system.ts";

const OUTAGE_MS = 30_000;
const QUEUE_SIZE = 2000;

Deno.test("an outage of all analyzers costs no packet and no attempt", async () => {
  await using first = new Recorder();
  await using second = new Recorder();
  const flags = ["--durability=memory", `--queue-size=${QUEUE_SIZE}`];
  await using system = await startSystem({ flags });
  await system.register({ id: "first", url: first.url, weight: 2 });
  await system.register({ id: "second", url: second.url, weight: 1 });
  const recorders = [first, second];

  let phase = "before";
  const load = system.agent.startLoad({
    ratePerSecond: 200,
    next: (number) => makePacket(`${phase}-${number}`, 3),
  });
  try {
    await eventually(() => second.deliveries.length > 50, { name: "the load flows" });
    await Promise.all(recorders.map((recorder) => recorder.kill()));
    phase = "during";
    const downAtMs = performance.now();

    await eventually(async () => (await system.metrics()).queued.packets === QUEUE_SIZE, {
      name: "the queue is full",
      timeoutMs: 20_000,
      everyMs: 100,
    });
    const ready = await system.call("GET", "/readyz");
    assertEquals([ready.status, ready.json.reason], [503, "the queue is full"]);
    assertEquals((await system.call("GET", "/health")).status, 200);
    await sleep(OUTAGE_MS - (performance.now() - downAtMs), systemClock);

    phase = "after";
    await Promise.all(recorders.map((recorder) => recorder.start()));
    await eventually(async () => (await system.call("GET", "/readyz")).status === 200, {
      name: "it is ready again",
      timeoutMs: 20_000,
    });
  } finally {
    await load.stop();
  }

  const { refusals } = system.agent;
  assertGreater(refusals.length, 1000);
  for (const { status, code, retryAfter } of refusals) {
    assertEquals([status, code, retryAfter], [503, "QUEUE_FULL", "1"]);
  }
  const tookMs = refusals.map((refusal) => refusal.tookMs).sort((a, b) => a - b);
  const p99 = tookMs[Math.floor(tookMs.length * 0.99)]!;
  console.log(
    `${refusals.length} refused: p50 ${tookMs[tookMs.length >> 1]!.toFixed(0)} ms, p99 ${
      p99.toFixed(0)
    } ms, max ${tookMs.at(-1)!.toFixed(0)} ms`,
  );
  assertLess(p99, 100);

  await system.settles();
  assertEquals(await system.deadIds(), []);
  const during = recorders.flatMap(({ deliveries }) => deliveries)
    .filter(({ id }) => id.startsWith("during-"));
  // All of the queue but the few that were in flight when the analyzers went.
  assertGreater(during.length, 0.95 * QUEUE_SIZE);
  for (const { id, headers } of during) {
    assertEquals(headers.get("x-attempt"), "1", `attempt of ${id}`);
    assert(system.agent.acknowledged.has(id));
  }
  await system.conservation({ seen: () => new Map([...first.seen(), ...second.seen()]) });
});

Deno.test("an outage with durability disk is a backlog, not a refusal", async () => {
  await using analyzer = new Recorder();
  await using system = await startSystem({ flags: ["--queue-size=100"] });
  await system.register({ id: "only", url: analyzer.url, weight: 1 });
  await analyzer.kill();
  const packets = Array.from({ length: 3000 }, (_, i) => makePacket(`backlog-${i}`, 2));
  await system.agent.sendAll(packets);
  assertEquals(system.agent.acknowledged.size, packets.length);
  const { queued } = await system.metrics();
  assertEquals([queued.packets, queued.messages], [3000, 6000]);
  assertLess(queued.in_memory.packets, 200);
  assertEquals((await system.call("GET", "/readyz")).status, 200);
  await analyzer.start();
  await system.settles();
  for (const { id, headers } of analyzer.deliveries) {
    assertEquals(headers.get("x-attempt"), "1", `attempt of ${id}`);
  }
  await system.conservation({ seen: () => analyzer.seen() });
});
