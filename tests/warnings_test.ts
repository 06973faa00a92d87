import { assertEquals } from "@std/assert";
import { DeadLetters } from "../src/queue/dead_letter.ts";
import { Ledger } from "../src/queue/ledger.ts";
import { listWarnings, type Warned } from "../src/warnings.ts";

const UP = { eligible: true, paused: false };
const OUT = { eligible: false, paused: false };
const PAUSED = { eligible: false, paused: true };

function lose(packets: number) {
  return { packets, messages: packets, bytes: packets };
}

/** A distributor of which nothing is to be said. */
function calm(): Warned {
  const queue = {
    ledger: new Ledger(),
    deadLetters: new DeadLetters(),
    manyDeadLetters: undefined,
  };
  return { queue, spool: { setAside: [], lost: lose(0) }, analyzers: [OUT, UP] };
}

Deno.test("listWarnings() says nothing while any analyzer is eligible and nothing is wrong", () => {
  assertEquals(listWarnings(calm()), []);
  assertEquals(listWarnings({ ...calm(), spool: undefined }), []);
});

Deno.test("listWarnings() says that no analyzer is eligible, why, and how many packets wait", () => {
  const rows: [analyzers: Warned["analyzers"], says: string][] = [
    [[], "no analyzer is registered: register one with POST /api/v1/analyzers"],
    [[PAUSED, PAUSED], "no analyzer is eligible: all are paused"],
    [[PAUSED, OUT], "no analyzer is eligible: GET /api/v1/analyzers says why"],
  ];
  for (const [analyzers, says] of rows) {
    const warned = { ...calm(), analyzers };
    assertEquals(listWarnings(warned), [`${says}; packets that wait: 0`]);
    warned.queue.ledger.acceptUnread("spooled", { packets: 7, messages: 9, bytes: 100 });
    assertEquals(listWarnings(warned), [`${says}; packets that wait: 7`]);
  }
});

Deno.test("listWarnings() counts dead letters, before it says that they hold much of the room", () => {
  const { queue, ...rest } = calm();
  const deadLetters = { size: 3, list: () => [], bytesOf: () => undefined };
  const counted = "dead letters: 3; GET /api/v1/dead-letters says why, replay or delete them";
  assertEquals(listWarnings({ queue: { ...queue, deadLetters }, ...rest }), [counted]);
  const many = { ...queue, deadLetters, manyDeadLetters: "dead letters hold much" };
  assertEquals(listWarnings({ queue: many, ...rest }), [counted, "dead letters hold much"]);
});

Deno.test("listWarnings() names what is damaged", () => {
  const spool = { setAside: ["data/a", "data/b"], lost: lose(2) };
  assertEquals(listWarnings({ ...calm(), spool }), [
    "a damaged spool was set aside: data/a",
    "a damaged spool was set aside: data/b",
    "2 damaged packets were put aside",
  ]);
});
