/** The distributor as a process: how it stops, and how it reads its config file again. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { STUCK_MS } from "../../src/drain.ts";
import { Agent, makePacket } from "../support/agent.ts";
import { assertBalanced, assertConserved } from "../support/conservation.ts";
import { TestFolder } from "../support/data_folder.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { type Program, startDistributorProgram } from "../support/program.ts";
import { register } from "../support/register.ts";

const HALF_POST = "POST /api/v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
const JSON_TYPE = { "content-type": "application/json" };

// deno-lint-ignore no-explicit-any
async function readJson(url: string): Promise<any> {
  return await (await fetch(url)).json();
}

/** Posts packets that nobody can take: they stay queued. */
async function queueUp(url: string, count: number): Promise<Agent> {
  const agent = new Agent(url);
  await agent.sendAll(Array.from({ length: count }, (_, i) => makePacket(`left-${i}`, 2)));
  assertEquals(agent.acknowledged.size, count);
  return agent;
}

/** The last line of the log, whose counts must add up. */
async function assertStopped(program: Program, expected: { undelivered: number }) {
  const stopped = await program.logs("distributor stopped");
  assertEquals(stopped["undelivered_packets"], expected.undelivered);
  assertEquals(
    stopped["accepted"],
    (stopped["delivered"] as number) + (stopped["dead_lettered"] as number) + expected.undelivered,
  );
  return stopped;
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} under load delivers all that was accepted, and exits 0`, async () => {
    const { program, url } = await startDistributorProgram(["--max-in-flight=4"]);
    await using _program = program;
    const fleet = new Fleet();
    const agent = new Agent(url);
    for (const id of ["analyzer1", "analyzer2"]) {
      const options = { batches: false, faults: { latency: 50 } };
      await register(url, { id, url: (await fleet.add(id, 1, options)).url });
    }
    const load = agent.startLoad({
      ratePerSecond: 400,
      next: (number) => makePacket(`drain-${number}`, 3),
    });
    // What comes in at 400 a second goes out at 160: a queue builds up.
    await eventually(async () => {
      const metrics = await readJson(`${url}/api/v1/metrics`);
      assertBalanced(metrics);
      return metrics.queued.packets > 200;
    }, { name: "a queue has built up" });
    program.signal(signal);
    const exit = program.exits();
    await eventually(() => agent.refusals.length > 0, { name: "a post is refused" });
    const ready = await fetch(`${url}/readyz`);
    assertEquals([ready.status, (await ready.json()).reason], [503, "draining"]);

    const { code, tookMs } = await exit;
    await load.stop();
    assertEquals(code, 0);
    assertLess(tookMs, 25_000);
    for (const { status, code, retryAfter } of agent.refusals) {
      assertEquals([status, code, retryAfter], [503, "DRAINING", "1"]);
    }
    const stopped = await assertStopped(program, { undelivered: 0 });
    assertEquals(stopped["level"], "info");
    assertGreater(agent.acknowledged.size, 200);
    assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
    await fleet.close();
  });
}

Deno.test("SIGTERM with all analyzers down exits 0 in time and counts what was left", async () => {
  const flags = ["--drain-timeout=1s", "--durability=memory"];
  const { program, url } = await startDistributorProgram(flags);
  await using _program = program;
  const fleet = new Fleet();
  await register(url, { id: "gone", url: (await fleet.add("gone", 1)).url });
  await fleet.kill("gone");
  const agent = await queueUp(url, 100);
  program.signal("SIGTERM");
  const { code, tookMs } = await program.exits();
  assertEquals(code, 0);
  assertLess(tookMs, 4000);
  const stopped = await assertStopped(program, { undelivered: 100 });
  assertEquals([stopped["undelivered_messages"], stopped["level"]], [200, "error"]);
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 100 });
});

Deno.test("SIGTERM does not wait for analyzers that are down where the rest is on disk", async () => {
  using folder = new TestFolder();
  const fleet = new Fleet();
  const { url: address } = await fleet.add("analyzer1", 1);
  await fleet.kill("analyzer1");
  const first = await startDistributorProgram([folder.flag]);
  await using _first = first.program;
  await register(first.url, { id: "analyzer1", url: address });
  const agent = await queueUp(first.url, 100);
  await eventually(async () => {
    const { analyzers: [analyzer] } = await readJson(`${first.url}/api/v1/metrics`);
    return analyzer.state === "ejected";
  }, { name: "the analyzer is out" });
  first.program.signal("SIGTERM");
  const { code, tookMs } = await first.program.exits();
  assertEquals(code, 0);
  assertLess(tookMs, 10_000);
  const early = await first.program.logs(
    "drain ends early: no analyzer is available, the rest is safe on disk",
  );
  assertEquals([early["packets_on_disk"], early["messages_on_disk"]], [100, 200]);
  await assertStopped(first.program, { undelivered: 100 });

  const second = await startDistributorProgram([folder.flag]);
  await using _second = second.program;
  const restored = await second.program.logs("analyzers restored");
  assertEquals([restored["source"], restored["analyzers"]], ["disk", 1]);
  const events = second.program.events().map(({ event }) => event);
  for (const change of ["analyzer registered", "analyzer weight changed", "analyzer paused"]) {
    assert(!events.includes(change));
  }
  await fleet.start("analyzer1");
  await eventually(async () => {
    const metrics = await readJson(`${second.url}/api/v1/metrics`);
    assertBalanced(metrics);
    return metrics.delivered.packets === 100;
  }, { name: "all are delivered", timeoutMs: 30_000 });
  second.program.signal("SIGTERM");
  assertEquals((await second.program.exits()).code, 0);
  await assertStopped(second.program, { undelivered: 0 });
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
  await fleet.close();
});

Deno.test("SIGTERM waits for an analyzer where the rest is in memory alone", async () => {
  const { program, url } = await startDistributorProgram(["--durability=memory"]);
  await using _program = program;
  const agent = await queueUp(url, 100);
  program.signal("SIGTERM");
  await program.logs("draining");
  const exit = program.exits();
  // Longer than a drain from disk would wait.
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, STUCK_MS + 1000);
  assertEquals(await Promise.race([late.promise.then(() => "waits"), exit]), "waits");
  clearTimeout(timer);
  const fleet = new Fleet();
  await register(url, { id: "late", url: (await fleet.add("late", 1)).url });
  assertEquals((await exit).code, 0);
  await assertStopped(program, { undelivered: 0 });
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
  await fleet.close();
});

Deno.test("SIGTERM does not wait for a half-sent body", async () => {
  const { program, url } = await startDistributorProgram([]);
  await using _program = program;
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(HALF_POST));
  assertEquals((await fetch(`${url}/health`).then((answer) => answer.json())).status, "healthy");
  program.signal("SIGTERM");
  const { code, tookMs } = await program.exits();
  assertEquals(code, 0);
  assertLess(tookMs, 4000);
  await assertStopped(program, { undelivered: 0 });
});

Deno.test("SIGTERM tries packets that wait out a long back-off at once", async () => {
  const flags = ["--retry-interval=24h", "--max-retries=1000", "--drain-timeout=20s"];
  const { program, url } = await startDistributorProgram(flags);
  await using _program = program;
  const fleet = new Fleet();
  const ill = await fleet.add("ill", 1, { faults: { errorRate: 1, errorCode: 429 } });
  await register(url, { id: "ill", url: ill.url });
  const agent = await queueUp(url, 20);
  await eventually(async () => (await readJson(`${url}/api/v1/metrics`)).retries >= 20, {
    name: "all have failed once",
  });
  await ill.faults.clear();
  program.signal("SIGTERM");
  const { code, tookMs } = await program.exits();
  assertEquals(code, 0);
  assertLess(tookMs, 5000);
  await assertStopped(program, { undelivered: 0 });
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
  await fleet.close();
});

Deno.test("SIGTERM counts what is cut off at the deadline as left, not as failed", async () => {
  const { program, url } = await startDistributorProgram([
    "--drain-timeout=300ms",
    "--max-retries=0",
  ]);
  await using _program = program;
  const fleet = new Fleet();
  const slow = await fleet.add("slow", 1, { batches: false, faults: { latency: 10_000 } });
  await register(url, { id: "slow", url: slow.url });
  const agent = await queueUp(url, 10);
  // Closing waits a second for this one: time enough to settle what was cut off wrongly.
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(HALF_POST));
  program.signal("SIGTERM");
  assertEquals((await program.exits()).code, 0);
  const stopped = await assertStopped(program, { undelivered: 10 });
  assertEquals([stopped["delivered"], stopped["dead_lettered"]], [0, 0]);
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 10 });
  await fleet.close();
});

Deno.test("a SIGTERM that comes twice at once, as from a task runner, is one", async () => {
  const { program, url } = await startDistributorProgram([
    "--durability=memory",
    "--drain-timeout=1s",
  ]);
  await using _program = program;
  await queueUp(url, 10);
  program.signal("SIGTERM");
  await program.logs("draining");
  program.signal("SIGTERM");
  assertEquals((await program.exits()).code, 0);
  await assertStopped(program, { undelivered: 10 });
});

Deno.test("a second SIGTERM exits at once", async () => {
  const { program, url } = await startDistributorProgram(["--durability=memory"]);
  await using _program = program;
  await queueUp(url, 10);
  program.signal("SIGTERM");
  await program.logs("draining");
  // The first few may be taken for echoes of the first, which task runners send twice.
  const repeating = setInterval(() => program.signal("SIGTERM"), 100);
  const { code, tookMs } = await program.exits();
  clearInterval(repeating);
  assertEquals(code, 1);
  assertLess(tookMs, 1500);
  assert(program.events().some(({ event }) => event === "exiting at once"));
});

Deno.test("SIGHUP takes over the config file's analyzers, and nothing of a broken file", async () => {
  const path = await Deno.makeTempFile({ suffix: ".json" });
  const a = { id: "a", url: "http://127.0.0.1:9", weight: 1 };
  const b = { id: "b", url: "http://127.0.0.1:9/b", weight: 3 };
  const write = (config: unknown) => Deno.writeTextFile(path, JSON.stringify(config));
  try {
    await write({ analyzers: [a] });
    const { program, url } = await startDistributorProgram([`--config=${path}`]);
    await using _program = program;
    await register(url, { id: "by-hand", url: "http://127.0.0.1:9/c" });
    const weights = async () => {
      const { analyzers } = await readJson(`${url}/api/v1/analyzers`);
      return analyzers.map(({ id, weight }: { id: string; weight: number }) => [id, weight]);
    };
    assertEquals(await weights(), [["a", 1], ["by-hand", 1]]);

    await write({ queueSize: 77, analyzers: [{ ...a, weight: 2 }, b] });
    program.signal("SIGHUP");
    await program.logs("config file read again");
    const { options } = await program.logs("options changed: that needs a restart");
    assertEquals(options, ["queueSize"]);
    assertEquals(await weights(), [["a", 2], ["by-hand", 1], ["b", 3]]);

    // What the file says as before stays as the API has changed it.
    await fetch(`${url}/api/v1/analyzers/a`, {
      method: "PATCH",
      headers: JSON_TYPE,
      body: JSON.stringify({ weight: 0.1 }),
    }).then((response) => response.body?.cancel());
    await write({ analyzers: [{ ...a, weight: 2 }, { ...b, weight: 4 }] });
    program.signal("SIGHUP");
    await eventually(async () => (await weights())[2][1] === 4, { name: "b weighs 4" });
    assertEquals(await weights(), [["a", 0.1], ["by-hand", 1], ["b", 4]]);
    await write({ analyzers: [{ ...a, weight: 2 }, b] });
    program.signal("SIGHUP");
    await eventually(async () => (await weights())[2][1] === 3, { name: "b weighs 3" });

    const broken: unknown[] = ["not an object", { analyzers: [{ ...b, weight: 0 }] }, { nope: 1 }];
    for (const [i, config] of broken.entries()) {
      await write(config);
      program.signal("SIGHUP");
      const refused = () =>
        program.events().filter(({ event }) => event === "config file not taken over");
      await eventually(() => refused().length === i + 1, { name: "the broken file is logged" });
      assertEquals(refused()[i]!["level"], "error");
      assertEquals(await weights(), [["a", 0.1], ["by-hand", 1], ["b", 3]]);
    }

    await write({ analyzers: [b] });
    program.signal("SIGHUP");
    await eventually(async () => (await weights()).length === 2, { name: "a is gone" });
    assertEquals(await weights(), [["by-hand", 1], ["b", 3]]);
    program.signal("SIGTERM");
    assertEquals((await program.exits()).code, 0);
  } finally {
    await Deno.remove(path);
  }
});
