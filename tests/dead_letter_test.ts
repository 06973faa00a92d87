import { assertEquals } from "@std/assert";
import type { Packet } from "../src/packet.ts";
import { type DeadLetter, DeadLetters, type DeadReason } from "../src/queue/dead_letter.ts";

function letter(id: string, note = "", reason: DeadReason = "rejected"): DeadLetter {
  const since = "2024-01-02T03:04:05.678Z";
  const body = new TextEncoder().encode(`{"${note}"}`);
  const packet = { id, body, bodyLength: body.length, bytes: body.length, tail: "" } as Packet;
  return { packet, since, attempts: 1, analyzer: "a", detail: note, reason };
}

function setup(): DeadLetters {
  const letters = new DeadLetters();
  letters.add(letter("p", "1st"));
  letters.add(letter("q", "2nd", "retries_exhausted"));
  letters.add(letter("p", "3rd", "retries_exhausted"));
  letters.add(letter("r", "4th"));
  return letters;
}

const notes = (letters: readonly { detail: string }[]) => letters.map(({ detail }) => detail);
const all = { offset: 0, limit: 100 };

Deno.test("deadLetters.list() pages oldest first, also where packets share an id", () => {
  const letters = setup();
  assertEquals(letters.size, 4);
  assertEquals(notes(letters.list(all)), ["1st", "2nd", "3rd", "4th"]);
  assertEquals(notes(letters.list({ offset: 1, limit: 2 })), ["2nd", "3rd"]);
  assertEquals(notes(letters.list({ offset: 3, limit: 2 })), ["4th"]);
  assertEquals(letters.list({ offset: 4, limit: 2 }), []);
  assertEquals(letters.list({ offset: Number.MAX_SAFE_INTEGER, limit: 2 }), []);
  assertEquals(letters.list({ offset: 0, limit: 0 }), []);
});

Deno.test("deadLetters.bytesOf() gives the oldest packet of an id", () => {
  const letters = setup();
  assertEquals(letters.bytesOf("p"), new TextEncoder().encode('{"1st"}'));
  assertEquals(letters.bytesOf("x"), undefined);
});

Deno.test("deadLetters.takeAll() takes what is named and leaves the rest", () => {
  const cases = [
    { selection: {}, taken: ["1st", "2nd", "3rd", "4th"], left: [] },
    { selection: { ids: ["p"] }, taken: ["1st", "3rd"], left: ["2nd", "4th"] },
    { selection: { ids: ["r", "x", "r"] }, taken: ["4th"], left: ["1st", "2nd", "3rd"] },
    { selection: { ids: [] }, taken: [], left: ["1st", "2nd", "3rd", "4th"] },
    { selection: { reason: "rejected" }, taken: ["1st", "4th"], left: ["2nd", "3rd"] },
    {
      selection: { ids: ["p", "q"], reason: "retries_exhausted" },
      taken: ["3rd", "2nd"],
      left: ["1st", "4th"],
    },
  ] as const;
  for (const { selection, taken, left } of cases) {
    const letters = setup();
    const name = JSON.stringify(selection);
    assertEquals(notes(letters.takeAll(selection).letters), [...taken], name);
    assertEquals(notes(letters.list(all)), [...left], name);
    assertEquals(letters.size, left.length, name);
  }
});

Deno.test("deadLetters.takeAll() leaves nothing to take twice", () => {
  const letters = setup();
  letters.takeAll({});
  assertEquals([letters.size, letters.bytesOf("p")], [0, undefined]);
  assertEquals(letters.takeAll({}), { letters: [], notFound: [] });
  assertEquals(letters.takeAll({ ids: ["p", "p"] }), { letters: [], notFound: ["p"] });
  letters.add(letter("p", "5th"));
  assertEquals(notes(letters.takeAll({ ids: ["p"] }).letters), ["5th"]);
});
