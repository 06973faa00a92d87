/** Packets that were given up: listed, read, replayed and deleted over HTTP. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { submit } from "../support/submit.ts";
import { startSystem, type System } from "../support/system.ts";

const PATH = "/api/v1/dead-letters";
const POISON = "this message is poison";

/** A system whose only analyzer refuses the poison, and `count` poisonous packets given up. */
async function startPoisoned(count: number): Promise<System> {
  const system = await startSystem({ weights: [1], flags: ["--retry-interval=0"] });
  await system.fleet.get("analyzer1").faults.set({ rejectMessage: POISON, errorCode: 422 });
  const packets = Array.from({ length: count }, (_, i) => makePacket(`bad-${i}`, 2, POISON));
  await system.agent.sendAll(packets);
  await system.agent.post(makePacket("good", 3));
  await system.settles();
  return system;
}

Deno.test("dead letters are listed oldest first, in pages", async () => {
  await using system = await startPoisoned(25);
  const { json } = await system.call("GET", PATH);
  assertEquals([json.total, json.offset, json.dead_letters.length], [25, 0, 25]);
  const { since, ...letter } = json.dead_letters[0];
  assertMatch(since, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assertEquals(letter, {
    packet_id: letter.packet_id,
    reason: "rejected",
    attempts: 1,
    analyzer: "analyzer1",
    detail: "HTTP 422",
    messages: 2,
    bytes: letter.bytes,
  });
  const pages: string[] = [];
  for (const offset of [0, 10, 20, 30]) {
    const page = (await system.call("GET", `${PATH}?offset=${offset}&limit=10`)).json;
    assertEquals([page.total, page.offset], [25, offset]);
    for (const { packet_id } of page.dead_letters) pages.push(packet_id);
  }
  assertEquals(new Set(pages), new Set(Array.from({ length: 25 }, (_, i) => `bad-${i}`)));
  assertEquals(pages.length, 25);
  assertEquals((await system.call("GET", `${PATH}?limit=0`)).json.dead_letters, []);
  const queries = ["limit=1001", "limit=-1", "limit=x", "offset=-1", "offset=1.5", "limit="];
  for (const query of queries) {
    const { status, json } = await system.call("GET", `${PATH}?${query}`);
    assertEquals([status, json.code], [400, "INVALID_QUERY"], query);
    const [name] = query.split("=");
    const most = name === "limit" ? "1000" : "999999999999999";
    assertEquals(json.detail, `${name} must be a whole number from 0 to ${most}`);
  }
  await system.conservation();
});

Deno.test("a dead letter is read as the bytes that an analyzer would receive", async () => {
  await using system = await startPoisoned(1);
  const response = await fetch(`${system.url}${PATH}/bad-0`);
  assertEquals(response.headers.get("content-type"), "application/json");
  const sent = makePacket("bad-0", 2, POISON).body;
  const text = await response.text();
  assert(text.startsWith(`${sent.slice(0, -1)},"received_at":"`), text);
  const unknown = await system.call("GET", `${PATH}/good`);
  assertEquals([unknown.status, unknown.json.code], [404, "DEAD_LETTER_NOT_FOUND"]);
  await system.conservation();
});

Deno.test("replayed dead letters are delivered once they are cured", async () => {
  await using system = await startPoisoned(20);
  await system.fleet.get("analyzer1").faults.clear();
  const some = await system.call("POST", `${PATH}/replay`, { ids: ["bad-1", "bad-2", "nobody"] });
  assertEquals(some, {
    status: 200,
    json: { status: "replayed", replayed: 2, not_found: ["nobody"], not_found_count: 1 },
  });
  await system.settles();
  const rest = await system.call("POST", `${PATH}/replay`, { reason: "rejected" });
  assertEquals(rest.json, { status: "replayed", replayed: 18 });
  const none = await system.call("POST", `${PATH}/replay`, { all: true });
  assertEquals(none.json.replayed, 0);
  await system.conservation();
  const { delivered, dead_lettered, dead_letters } = await system.metrics();
  assertEquals(delivered, { packets: 21, messages: 43 });
  assertEquals([dead_lettered, dead_letters], [{ packets: 0, messages: 0 }, 0]);
  for (const [id, times] of system.fleet.seen()) assertEquals(times, 1, id);
});

Deno.test("replayed dead letters that are not cured become dead letters again", async () => {
  await using system = await startPoisoned(5);
  assertEquals((await system.call("POST", `${PATH}/replay`, { all: true })).json.replayed, 5);
  await system.settles();
  assertEquals((await system.call("GET", PATH)).json.total, 5);
  assertEquals((await system.analyzer("analyzer1")).state, "healthy");
  await system.conservation();
});

Deno.test("deleted dead letters are gone and still in the books", async () => {
  await using system = await startPoisoned(10);
  const one = await system.call("DELETE", `${PATH}/bad-3`);
  assertEquals(one, { status: 200, json: { status: "deleted", deleted: 1 } });
  assertEquals((await system.call("DELETE", `${PATH}/bad-3`)).status, 404);
  assertEquals((await system.call("DELETE", PATH, { ids: ["bad-4"] })).json.deleted, 1);
  await system.conservation({ deleted: ["bad-3", "bad-4"] });
  assertEquals((await system.call("DELETE", PATH, { all: true })).json.deleted, 8);
  const orders = system.events.filter(({ event }) => event === "dead letters deleted");
  assertEquals(orders.map(({ fields }) => fields["packets"]), [1, 1, 8]);
  const { dead_lettered, dead_letters } = await system.metrics();
  assertEquals([dead_lettered, dead_letters], [{ packets: 10, messages: 20 }, 0]);
  await system.conservation({ deleted: Array.from({ length: 10 }, (_, i) => `bad-${i}`) });
});

Deno.test("5xx of the only analyzer makes dead letters in seconds, /readyz tells, a replay cures", async () => {
  await using system = await startSystem({ weights: [1] });
  const { faults } = system.fleet.get("analyzer1");
  const warnings = async () => {
    const { status, json } = await system.call("GET", "/readyz");
    assertEquals([status, json.status], [200, "ready"]);
    return json.warnings;
  };
  assertEquals(await warnings(), undefined);
  await faults.set({ errorRate: 1, errorCode: 500 });
  await system.agent.sendAll(Array.from({ length: 10 }, (_, i) => makePacket(`lost-${i}`)));
  // With default retries the back-off is 6.2 s at most.
  await system.settles(8000);
  const { json } = await system.call("GET", PATH);
  for (const { reason, attempts } of json.dead_letters) {
    assertEquals([reason, attempts], ["retries_exhausted", 6]);
  }
  assertEquals(await warnings(), [
    "dead letters: 10; GET /api/v1/dead-letters says why, replay or delete them",
  ]);

  await system.call("PATCH", "/api/v1/analyzers/analyzer1", { paused: true });
  await system.call("POST", `${PATH}/replay`, { reason: "retries_exhausted" });
  assertEquals(await warnings(), [
    "no analyzer is eligible: all are paused; packets that wait: 10",
  ]);
  await faults.clear();
  await system.call("PATCH", "/api/v1/analyzers/analyzer1", { paused: false });
  await system.conservation();
  assertEquals(await system.deadIds(), []);
});

Deno.test("an order by ids tells which it has not found, a hundred by name", async () => {
  await using system = await startPoisoned(4);
  const missing = Array.from({ length: 150 }, (_, i) => `none-${i}`);
  const named = missing.slice(0, 100);
  const orders: [method: string, path: string, body: unknown, found: number, named: string[]][] = [
    ["DELETE", PATH, { ids: ["bad-0", ...missing, "bad-0", "bad-1"] }, 2, named],
    ["DELETE", PATH, { ids: ["bad-0"] }, 0, ["bad-0"]],
    ["DELETE", PATH, { ids: ["bad-2"], reason: "retries_exhausted" }, 0, ["bad-2"]],
    ["POST", `${PATH}/replay`, { ids: ["bad-2", "bad-1", "bad-3"] }, 2, ["bad-1"]],
    ["POST", `${PATH}/replay`, { ids: [] }, 0, []],
  ];
  for (const [method, path, body, found, not_found] of orders) {
    const { status, json } = await system.call(method, path, body);
    assertEquals([status, json.deleted ?? json.replayed], [200, found], JSON.stringify(body));
    assertEquals(json.not_found, not_found);
    assertEquals(json.not_found_count, not_found === named ? 150 : not_found.length);
  }
  await system.conservation({ deleted: ["bad-0", "bad-1"] });
});

Deno.test("an order about dead letters must say which", async () => {
  await using system = await startPoisoned(1);
  const rows: [body: unknown, word: string][] = [
    [{}, "say which"],
    [[], "JSON object"],
    [{ all: false }, "all"],
    [{ ids: "bad-0" }, "ids"],
    [{ ids: [7] }, "ids"],
    [{ reason: "boredom" }, "reason"],
    [{ id: "bad-0" }, "id"],
    [{ all: true, ids: ["bad-0"] }, '"all": true stands alone'],
    [{ all: true, reason: "rejected" }, '"all": true stands alone'],
  ];
  for (const [body, word] of rows) {
    for (const [method, path] of [["POST", `${PATH}/replay`], ["DELETE", PATH]] as const) {
      const { status, json } = await system.call(method, path, body);
      assertEquals([status, json.code], [400, "INVALID_QUERY"], JSON.stringify(body));
      assertStringIncludes(json.detail, word);
    }
  }
  assertEquals((await system.call("GET", PATH)).json.total, 1);
  await system.conservation();
});

Deno.test("dead letters that fill the memory make the distributor unready, which says so", async () => {
  const flags = [
    ...["--durability=memory", "--retry-interval=0"],
    ...["--queue-bytes=64KiB", "--max-body=32KiB"],
  ];
  await using system = await startSystem({ weights: [1], flags });
  await system.fleet.get("analyzer1").faults.set({ rejectMessage: POISON, errorCode: 422 });
  const text = POISON + "x".repeat(3000);
  for (let count = 0; system.agent.refusals.length === 0; count++) {
    await system.agent.post(makePacket(`bad-${count}`, 1, text));
    await system.settles();
  }
  const refused = await submit(system, makePacket("more", 1, text).body);
  assertEquals([refused.status, refused.json.code], [503, "QUEUE_FULL"]);
  assertStringIncludes(refused.json.detail, "Dead letters hold the memory");
  const unready = await system.call("GET", "/readyz");
  assertEquals(unready.status, 503);
  assertStringIncludes(unready.json.reason, "dead letters hold the memory that packets need");
  const ids = await system.deadIds();
  const [first, ...rest] = ids;
  await system.call("DELETE", `${PATH}/${first}`);
  assertEquals((await system.call("GET", "/readyz")).status, 200);
  await system.call("DELETE", PATH, { ids: rest });
  assertEquals(await system.agent.post(makePacket("good")), 202);
  await system.conservation({ deleted: ids });
});
