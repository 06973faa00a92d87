/** What a distributor keeps over its end, whether it was asked to end or killed. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { Agent, makePacket } from "../support/agent.ts";
import { assertConserved } from "../support/conservation.ts";
import { TestFolder } from "../support/data_folder.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { type Program, startProgram } from "../support/program.ts";

const JSON_TYPE = { "content-type": "application/json" };

async function start(folder: TestFolder, flags: readonly string[] = []) {
  const program = startProgram("distributor", ["--http-addr=127.0.0.1:0", folder.flag, ...flags]);
  return { program, url: await program.url() };
}

// deno-lint-ignore no-explicit-any
async function call(method: string, url: string, body?: unknown): Promise<any> {
  const init = body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) };
  return await (await fetch(url, { method, ...init })).json();
}

async function settles(url: string): Promise<void> {
  await eventually(async () => {
    const { queued, in_flight } = await call("GET", `${url}/api/v1/metrics`);
    return queued.packets + in_flight.packets === 0;
  }, { name: "everything is settled" });
}

async function end(program: Program, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  program.signal(signal);
  await program.exits();
}

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test(`what is queued at a ${signal} is delivered after the restart, once`, async () => {
    using folder = new TestFolder();
    const before = await start(folder, ["--drain-timeout=200ms", "--queue-size=50"]);
    await using _before = before.program;
    const agent = new Agent(before.url);
    await agent.sendAll(Array.from({ length: 500 }, (_, i) => makePacket(`kept-${i}`, 3)));
    assertEquals(agent.acknowledged.size, 500);
    await end(before.program, signal);

    const after = await start(folder);
    await using _after = after.program;
    const { found } = (await after.program.logs("distributor started")) as { found?: unknown };
    assertEquals(found, 500);
    const fleet = new Fleet();
    const { url } = await fleet.add("late", 1);
    await call("POST", `${after.url}/api/v1/analyzers`, { id: "late", url, weight: 1 });
    await settles(after.url);
    const { accepted, delivered } = await call("GET", `${after.url}/api/v1/metrics`);
    assertEquals([accepted.packets, delivered.packets], [500, 500]);
    assertEquals([accepted.messages, delivered.messages], [1500, 1500]);
    assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
    assertEquals([...fleet.seen().values()].filter((times) => times > 1), []);
    await fleet.close();
  });
}

Deno.test("dead letters survive a kill, and are replayed after it", async () => {
  using folder = new TestFolder();
  const before = await start(folder, ["--retry-interval=0", "--max-retries=1"]);
  await using _before = before.program;
  const fleet = new Fleet();
  const ill = await fleet.add("ill", 1, { faults: { errorRate: 1, errorCode: 422 } });
  await call("POST", `${before.url}/api/v1/analyzers`, { id: "ill", url: ill.url, weight: 1 });
  const agent = new Agent(before.url);
  await agent.sendAll([makePacket("bad-1", 2), makePacket("bad-2", 3)]);
  await eventually(
    async () => (await call("GET", `${before.url}/api/v1/dead-letters`)).total === 2,
    { name: "both are given up" },
  );
  const { dead_letters } = await call("GET", `${before.url}/api/v1/dead-letters`);
  await end(before.program, "SIGKILL");

  const after = await start(folder);
  await using _after = after.program;
  const listed = await call("GET", `${after.url}/api/v1/dead-letters`);
  assertEquals(listed.dead_letters, dead_letters);
  assertEquals((await call("GET", `${after.url}/api/v1/dead-letters/bad-1`)).packet_id, "bad-1");
  await ill.faults.clear();
  const { replayed } = await call("POST", `${after.url}/api/v1/dead-letters/replay`, { all: true });
  assertEquals(replayed, 2);
  await settles(after.url);
  const metrics = await call("GET", `${after.url}/api/v1/metrics`);
  assertEquals(metrics.accepted, { packets: 2, messages: 5, bytes: metrics.accepted.bytes });
  assertEquals(metrics.delivered, { packets: 2, messages: 5 });
  assertEquals(metrics.dead_lettered, { packets: 0, messages: 0 });
  await fleet.close();
});

Deno.test("analyzers are there after a kill as the API has left them; the file's news win", async () => {
  using folder = new TestFolder();
  const path = await Deno.makeTempFile({ suffix: ".json" });
  const inFile = (id: string, weight: number) => ({ id, url: `http://127.0.0.1:9/${id}`, weight });
  const write = (analyzers: unknown[]) => Deno.writeTextFile(path, JSON.stringify({ analyzers }));
  const list = async (url: string) =>
    (await call("GET", `${url}/api/v1/analyzers`)).analyzers.map(
      ({ id, weight, paused }: Record<string, unknown>) => [id, weight, paused],
    );
  try {
    await write([inFile("a", 1), inFile("b", 1), inFile("c", 1)]);
    const first = await start(folder, [`--config=${path}`]);
    await using _first = first.program;
    await call("POST", `${first.url}/api/v1/analyzers`, inFile("by-hand", 5));
    await call("PATCH", `${first.url}/api/v1/analyzers/a`, { weight: 7, paused: true });
    await call("DELETE", `${first.url}/api/v1/analyzers/b`);
    await end(first.program, "SIGKILL");

    await write([inFile("a", 1), inFile("b", 1), inFile("c", 4)]);
    const second = await start(folder, [`--config=${path}`]);
    await using _second = second.program;
    assertEquals(await list(second.url), [["a", 7, true], ["by-hand", 5, false], ["c", 4, false]]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a second distributor on a data folder is refused in one line", async () => {
  using folder = new TestFolder();
  const first = await start(folder);
  await using _first = first.program;
  await using second = startProgram("distributor", ["--http-addr=127.0.0.1:0", folder.flag]);
  assertEquals((await second.exits()).code, 1);
  assertEquals(second.stderr.length, 1);
  assert(second.stderr[0]!.includes("another distributor runs on it"), second.stderr[0]);
});

Deno.test("a damaged spool is set aside, which the log and /readyz say, and the service starts", async () => {
  using folder = new TestFolder();
  const root = new URL("../../", import.meta.url);
  await Deno.mkdir(new URL(folder.path, root), { recursive: true });
  await Deno.writeTextFile(new URL(`${folder.path}/spool.db`, root), "no database".repeat(1000));
  const { program, url } = await start(folder);
  await using _program = program;
  const ready = await call("GET", `${url}/readyz`);
  assertEquals(ready.status, "ready");
  assertEquals(ready.warnings.length, 2);
  assert(ready.warnings[0].includes("set aside"), ready.warnings[0]);
  assert(ready.warnings[1].includes("no analyzer is registered"), ready.warnings[1]);
  assert(program.events().some(({ event }) => event.includes("set aside")));
  const agent = new Agent(url);
  await agent.sendAll([makePacket("fresh")]);
  assertGreater(agent.acknowledged.size, 0);
});
