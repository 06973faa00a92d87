import { assertEquals } from "@std/assert";
import { DeadLetters } from "../src/queue/dead_letter.ts";
import { Ledger } from "../src/queue/ledger.ts";
import type { StatusKind } from "../src/analyzer_view.ts";
import { listWarnings, type Warned } from "../src/warnings.ts";

function makeAnalyzer(kind: StatusKind, reason: string) {
  const eligible = kind === "healthy";
  return { id: kind, eligible, status: { kind, reason, seconds: 1 } };
}

const UP = makeAnalyzer("healthy", "registered");
const OUT = makeAnalyzer("ejected", "died");
const PAUSED = makeAnalyzer("paused", "by an operator");
const FULL = makeAnalyzer("full", "for the moment");
const RESTING = makeAnalyzer("resting", "it asked for a pause");

const COUNTED = "dead letters: 3; GET /api/v1/dead-letters says why, replay or delete them";

function lose(packets: number) {
  return { packets, messages: packets, bytes: packets };
}

function sizes(usedBytes: number) {
  const rest = { maxBytes: 125, walBytes: 0, commits: 0, checkpoints: 0 };
  return () => ({ usedBytes, arrivalsMaxBytes: 100, ...rest });
}

function makeQueue(change: Partial<Warned["queue"]> = {}): Warned["queue"] {
  return {
    capacity: 10,
    ledger: new Ledger(),
    deadLetters: new DeadLetters(),
    manyDeadLetters: undefined,
    oldestAgeSeconds: () => 9.9,
    ...change,
  };
}

/** A distributor of which nothing is to be said, but for what a test changes. */
function warned(change: Partial<Warned> = {}): Warned {
  const spool = { setAside: [], lost: lose(0), sizes: sizes(50) };
  return { queue: makeQueue(), spool, analyzers: [FULL, UP, PAUSED], ...change };
}

/** As it is logged: the severity in front. */
function list(change: Partial<Warned>): string[] {
  return listWarnings(warned(change)).map(({ severity, text }) => `${severity}: ${text}`);
}

Deno.test("listWarnings() says nothing while any analyzer is eligible and nothing is wrong", () => {
  assertEquals(list({}), []);
  assertEquals(list({ spool: undefined }), []);
});

Deno.test("listWarnings() says that no analyzer is eligible, why, and how many packets wait", () => {
  const rows: [analyzers: Warned["analyzers"], says: string][] = [
    [[], "no analyzer is registered: register one with POST /api/v1/analyzers"],
    [[PAUSED, PAUSED], "no analyzer is eligible: all are paused"],
    [[PAUSED, RESTING], "no analyzer is eligible: GET /api/v1/analyzers says why"],
  ];
  for (const [analyzers, says] of rows) {
    const queue = makeQueue({ oldestAgeSeconds: () => 1000 });
    assertEquals(list({ queue, analyzers }), [`critical: ${says}; packets that wait: 0`]);
    queue.ledger.acceptUnread("spooled", { packets: 7, messages: 9, bytes: 100 });
    assertEquals(list({ queue, analyzers }), [`critical: ${says}; packets that wait: 7`]);
  }
});

Deno.test("listWarnings() says that all are full without alarm: they take part", () => {
  assertEquals(list({ analyzers: [FULL, PAUSED] }), [
    "warning: no analyzer takes more for the moment: they are full; packets that wait: 0",
  ]);
});

Deno.test("listWarnings() names those that are out with the reason, three of many", () => {
  const out = (id: string) => ({ ...OUT, id });
  assertEquals(list({ analyzers: [UP, out("a")] }), ["warning: out: a, died"]);
  const many = ["a", "b", "c", "d", "e"].map(out);
  assertEquals(list({ analyzers: [UP, ...many] }), [
    "warning: out: a, died",
    "warning: out: b, died",
    "warning: out: c, died",
    "warning: out: 2 more",
  ]);
  assertEquals(
    list({ analyzers: [UP, ...many.slice(1)] }).at(-1),
    "warning: out: 1 more",
  );
});

Deno.test("listWarnings() counts dead letters, before it says that they hold much of the room", () => {
  const deadLetters = { size: 3, heldBytes: 3, list: () => [], bytesOf: () => undefined };
  assertEquals(list({ queue: makeQueue({ deadLetters }) }), [`warning: ${COUNTED}`]);
  const many = makeQueue({ deadLetters, manyDeadLetters: "dead letters hold much" });
  assertEquals(list({ queue: many }), [`warning: ${COUNTED}`, "warning: dead letters hold much"]);
});

Deno.test("listWarnings() names what is damaged", () => {
  const spool = { setAside: ["data/a", "data/b"], lost: lose(2), sizes: sizes(0) };
  assertEquals(list({ spool, analyzers: [UP, OUT] }), [
    "critical: a damaged spool was set aside: data/a",
    "critical: a damaged spool was set aside: data/b",
    "critical: 2 damaged packets were put aside",
    "warning: out: ejected, died",
  ]);
});

Deno.test("listWarnings() says what waits long, and which store is more than half full", () => {
  const queue = makeQueue({ oldestAgeSeconds: () => 12.9 });
  const waits = "warning: packets wait for analyzers, the oldest for 12 s";
  assertEquals(list({ queue }), [waits]);
  const spool = { setAside: [], lost: lose(0), sizes: sizes(51) };
  assertEquals(list({ spool }), [
    "warning: more than half of what --spool-max-bytes allows is used",
  ]);
  const full = makeQueue();
  for (let i = 0; i < 6; i++) {
    full.ledger.accept({ state: "queued", messages: 1, bytes: 9 } as never);
  }
  assertEquals(list({ queue: full, spool: undefined }), [
    "warning: more than half of the queue is full",
  ]);
  // With a disk behind it, a full window in memory is a backlog, which its age tells of.
  assertEquals(list({ queue: full }), []);
});
