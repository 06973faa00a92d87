/** Several threads on one port: one truth, the same answers, and what happens when one dies. */

import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "@std/assert";
import { needsSource } from "../support/from_source.ts";
import { Agent, makePacket } from "../support/agent.ts";
import { assertConserved } from "../support/conservation.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { TestFolder } from "../support/data_folder.ts";
import { startDistributorProgram, startProgram } from "../support/program.ts";
import { sendRaw } from "../support/raw_http.ts";
import { register } from "../support/register.ts";
import { startSystem } from "../support/system.ts";

/** The kernel picks a thread for each connection: of so many, every thread gets some. */
const CONNECTIONS = 12;

const POST_LOGS = "POST /api/v1/logs HTTP/1.1";
const PACKET = '{"packet_id":"p","log_messages":[{}]}';

/** A request as text; its body's length is counted here. */
function request(line: string, { headers = "", body = "" } = {}): string {
  const length = line.startsWith("P") ? `Content-Length: ${body.length}\r\n` : "";
  return `${line}\r\nHost: test\r\nConnection: close\r\n${length}${headers}\r\n${body}`;
}

const JSON_TYPE = "Content-Type: application/json\r\n";
const TABLE: Record<string, string> = {
  // Before any packet: it tells how many wait.
  "readiness": request("GET /readyz HTTP/1.1"),
  "a packet": request(POST_LOGS, { headers: JSON_TYPE, body: PACKET }),
  "a packet by another spelling of the path": request("POST /api/v1/lo%67s HTTP/1.1", {
    headers: JSON_TYPE,
    body: PACKET,
  }),
  "a packet with a query": request("POST /api/v1/logs?x=1 HTTP/1.1", { body: PACKET }),
  "a packet with a trailing slash": request("POST /api/v1/logs/ HTTP/1.1", { body: PACKET }),
  "a packet as curl -d sends it": request(POST_LOGS, {
    headers: "Content-Type: application/x-www-form-urlencoded\r\n",
    body: PACKET,
  }),
  "no JSON": request(POST_LOGS, { body: "{" }),
  "a form": request(POST_LOGS, {
    headers: "Content-Type: application/x-www-form-urlencoded\r\n",
    body: "a=b",
  }),
  "no packet": request(POST_LOGS, { body: '{"log_messages":{}}' }),
  "nothing": request(POST_LOGS),
  "too deep": request(POST_LOGS, { body: `{"log_messages":[${"[".repeat(40)}` }),
  "a wrong type": request(POST_LOGS, { headers: "Content-Type: text/plain\r\n", body: PACKET }),
  "a wrong encoding": request(POST_LOGS, { headers: "Content-Encoding: br\r\n", body: PACKET }),
  "no gzip": request(POST_LOGS, { headers: "Content-Encoding: gzip\r\n", body: PACKET }),
  "too large":
    `${POST_LOGS}\r\nHost: test\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n{`,
  "a wrong method": request("GET /api/v1/logs HTTP/1.1"),
  "an odd method": request("TRACE /api/v1/logs HTTP/1.1"),
  "a method of nobody": request("BREW /health HTTP/1.1"),
  "a strange Host": `GET /health HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n`,
  "a strange Host of a packet":
    `${POST_LOGS}\r\nHost: a/b?\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
  "an unknown path": request("GET /nope HTTP/1.1"),
  "health": request("GET /health HTTP/1.1"),
  "health, compressed": request("GET /health HTTP/1.1", { headers: "Accept-Encoding: gzip\r\n" }),
  "health, its head": request("HEAD /health HTTP/1.1"),
  "analyzers": request("GET /api/v1/analyzers HTTP/1.1"),
  "an unknown analyzer": request("GET /api/v1/analyzers/x HTTP/1.1"),
  "a bad analyzer": request("POST /api/v1/analyzers HTTP/1.1", { headers: JSON_TYPE, body: "{}" }),
  "an order without its type": request("POST /api/v1/analyzers HTTP/1.1", { body: "{}" }),
  "an order of another site": request("POST /api/v1/analyzers HTTP/1.1", {
    headers: `${JSON_TYPE}Origin: http://elsewhere\r\n`,
    body: '{"id":"a","url":"http://a","weight":1}',
  }),
  "a deletion by another site": request("DELETE /api/v1/dead-letters/x HTTP/1.1", {
    headers: "Origin: http://elsewhere\r\n",
  }),
  "the page": request("GET / HTTP/1.1"),
  "the page, compressed": request("GET / HTTP/1.1", { headers: "Accept-Encoding: gzip\r\n" }),
  "dead letters": request("GET /api/v1/dead-letters HTTP/1.1"),
  "a bad page": request("GET /api/v1/dead-letters?limit=-1 HTTP/1.1"),
};

/** Without what is of the moment, and without the order of headers, which means nothing. */
function normalize(answer: string): string {
  const end = answer.indexOf("\r\n\r\n");
  const [status, ...headers] = answer.slice(0, end).split("\r\n");
  const kept = headers.filter((header) => !header.startsWith("date: ")).sort();
  return [status, ...kept].join("\r\n") + answer.slice(end);
}

Deno.test("threads: answers are the same with one thread and with three, to the byte of their bodies", async () => {
  await using one = await startSystem({ flags: ["--threads=1"] });
  await using three = await startSystem({ flags: ["--threads=3"] });
  for (const [name, text] of Object.entries(TABLE)) {
    const expected = normalize((await sendRaw(one.url, text)).text);
    assert(expected.startsWith("HTTP/1.1 "), `${name}: ${expected}`);
    const answers = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => sendRaw(three.url, text)),
    );
    for (const answer of answers) assertEquals(normalize(answer.text), expected, name);
  }
  const [alone, together] = [await one.metrics(), await three.metrics()];
  const codes = Object.entries(alone.rejected.by_code);
  const expected = Object.fromEntries(codes.map(([code, count]) => [code, count * CONNECTIONS]));
  assertEquals(together.rejected.by_code, expected);
  assertEquals(together.accepted.packets, alone.accepted.packets * CONNECTIONS);
});

Deno.test("threads: events reach viewers of every thread as they come", async () => {
  await using system = await startSystem({ flags: ["--threads=3"] });
  const client = () => Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const clients = Array.from({ length: CONNECTIONS }, client);
  await Promise.all(clients.map(async (own) => {
    using client = own;
    const response = await fetch(`${system.url}/api/v1/events`, { client });
    assertEquals(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (text.split("event:snapshot").length < 3) text += (await reader.read()).value ?? "";
    await reader.cancel();
  }));
});

Deno.test({
  name: "threads: one that dies is replaced, and costs nothing that was acknowledged",
  ignore: needsSource("module of its own"),
  fn: async () => {
    const threadModule = new URL("../support/mortal_thread.ts", import.meta.url);
    await using system = await startSystem({
      weights: [2, 1],
      flags: ["--threads=2"],
      threadModule,
    });
    const { agent, events } = system;
    const load = agent.startLoad({
      ratePerSecond: 500,
      next: (number) => makePacket(`mortal-${number}`, 2),
    });
    const count = (name: string) => events.filter(({ event }) => event === name).length;
    await eventually(async () => {
      // The load keeps its connections, and so may come back to the main thread alone.
      const asking = Array.from(
        { length: CONNECTIONS },
        () => sendRaw(system.url, TABLE["health"]!),
      );
      await Promise.all(asking);
      return count("thread died") >= 2 && count("thread listening") >= 3;
    }, { name: "a thread has died twice, and been replaced", timeoutMs: 60_000 });
    await load.stop();
    const death = events.find(({ event }) => event === "thread died")!;
    assertEquals([death.level, death.fields["thread"]], ["error", 1]);
    assert(String(death.fields["error"]).includes("as the test wants it"));
    assertGreater(agent.acknowledged.size, 200);
    const { accepted } = await system.settles();
    assertConserved({ agent, seen: system.fleet.seen(), dead: await system.deadIds(), queued: 0 });
    // Where an answer was lost with its thread, the client has sent again by itself.
    assertGreaterOrEqual(accepted.packets, agent.acknowledged.size);
  },
});

Deno.test("threads: the queue's bounds hold for all together, in packets and in bytes", async () => {
  await using system = await startSystem({
    flags: ["--threads=3", "--durability=memory", "--queue-size=50", "--queue-bytes=5MiB"],
  });
  const { agent } = system;
  const small = Array.from({ length: 200 }, (_, i) => makePacket(`small-${i}`));
  await agent.sendAll(small, 40);
  assertEquals((await system.metrics()).queued.packets, 50);
  assertEquals(agent.acknowledged.size, 50);
  for (const { status, code, retryAfter } of agent.refusals) {
    assertEquals([status, code, retryAfter], [503, "QUEUE_FULL", "1"]);
  }
  assertEquals((await system.metrics()).rejected.by_code, { QUEUE_FULL: 150 });
  await system.conservation({ queued: 50 });
});

Deno.test({
  name: "threads: large bodies hold no more memory than --queue-bytes allows",
  fn: async () => {
    await using system = await startSystem({
      flags: ["--threads=3", "--durability=memory", "--queue-bytes=10MiB"],
    });
    const { agent } = system;
    const large = Array.from(
      { length: 30 },
      (_, i) => makePacket(`large-${i}`, 1, "x".repeat(1_500_000)),
    );
    await agent.sendAll(large, 30);
    const { queued } = await system.metrics();
    assertLess(queued.bytes, 10 * 2 ** 20);
    assertEquals(queued.packets, agent.acknowledged.size);
    // Bodies that are refused have room reserved for a while, so not all seven need to fit.
    assertGreater(queued.packets, 0);
    await agent.sendAll(
      Array.from({ length: 8 }, (_, i) => makePacket(`more-${i}`, 1, large[0]!.body)),
      1,
    );
    assertEquals((await system.metrics()).queued.packets, 6);
    await system.conservation({ queued: agent.acknowledged.size });
  },
});

Deno.test("threads: SIGTERM under load delivers all that any of them acknowledged", async () => {
  const { program, url } = await startDistributorProgram([
    "--threads=3",
    "--durability=memory",
    "--max-in-flight=4",
  ]);
  await using _program = program;
  const fleet = new Fleet();
  const agent = new Agent(url);
  const slow = await fleet.add("slow", 1, { batches: false, faults: { latency: 25 } });
  await register(url, { id: "slow", url: slow.url });
  const load = agent.startLoad({
    ratePerSecond: 400,
    next: (number) => makePacket(`drain-${number}`, 3),
  });
  await eventually(() => agent.acknowledged.size > 400, { name: "a queue has built up" });
  program.signal("SIGTERM");
  await eventually(() => agent.refusals.length > 20, { name: "posts are refused" });
  const { code } = await program.exits();
  await load.stop();
  assertEquals(code, 0);
  for (const { status, code } of agent.refusals) assertEquals([status, code], [503, "DRAINING"]);
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
  await fleet.close();
});

Deno.test("threads: kill -9 under load loses nothing that any of them acknowledged", async () => {
  using folder = new TestFolder();
  const fleet = new Fleet();
  const analyzer = await fleet.add("a", 1, { batches: false, faults: { latency: 10 } });
  const flags = ["--threads=3", "--durability=disk", "--max-in-flight=2", folder.flag];
  const agents: Agent[] = [];
  for (let life = 0; life < 2; life++) {
    const { program, url } = await startDistributorProgram(flags);
    await using _program = program;
    await register(url, { id: "a", url: analyzer.url });
    const agent = new Agent(url);
    agents.push(agent);
    const next = (number: number) => makePacket(`life-${life}-${number}`, 2);
    const load = agent.startLoad({ ratePerSecond: 400, next });
    await eventually(() => agent.acknowledged.size > 300, { name: "some are acknowledged" });
    program.signal("SIGKILL");
    await program.exits();
    await load.stop();
    assertGreater(agent.unanswered.size, 0);
  }
  const { program, url } = await startDistributorProgram(flags);
  await using _program = program;
  await eventually(async () => {
    const { queued, in_flight } = await (await fetch(`${url}/api/v1/metrics`)).json();
    return queued.packets + in_flight.packets === 0;
  }, { name: "what was left is delivered", timeoutMs: 60_000 });
  const seen = fleet.seen();
  for (const [life, agent] of agents.entries()) {
    const own = new Map([...seen].filter(([id]) => id.startsWith(`life-${life}-`)));
    assertConserved({ agent, seen: own, dead: [], queued: 0 });
  }
  program.signal("SIGTERM");
  assertEquals((await program.exits()).code, 0);
  await fleet.close();
});

Deno.test("threads: a port that another program listens on is refused, shared or not", async () => {
  const { program, url } = await startDistributorProgram(["--threads=2"]);
  await using _program = program;
  using folder = new TestFolder();
  const flags = [`--http-addr=127.0.0.1:${new URL(url).port}`, "--threads=2", folder.flag];
  await using second = startProgram("distributor", flags);
  assertEquals((await second.exits()).code, 1);
  assert(second.stderr.some((line) => line.includes("another program does")), second.stderr.join());
});

Deno.test("threads count how long it took to their 202 as the main thread does", async () => {
  await using system = await startSystem({ weights: [1], flags: ["--threads=3"] });
  await system.agent.sendAll(Array.from({ length: 300 }, (_, i) => makePacket(`p-${i}`)));
  await eventually(async () => {
    const text = await (await fetch(`${system.url}/metrics`)).text();
    return /^distributor_accept_seconds_count 300$/m.test(text);
  }, { name: "all 300 are counted" });
  await system.conservation();
});
