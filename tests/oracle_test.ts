import { assertEquals } from "@std/assert";
import {
  checkBooks,
  checkDuplicates,
  checkLife,
  checkLoss,
  checkOrigin,
  checkShares,
  checkUsage,
  countDuplicates,
  findLost,
  type Records,
  slopeOf,
} from "./chaos/oracle.ts";

/** Five were sent; each of the four acknowledged is somewhere else. */
function makeRecords(change: Partial<Records> = {}): Records {
  return {
    attempted: new Set(["a", "b", "c", "d", "e"]),
    acknowledged: new Set(["a", "b", "c"]),
    delivered: new Map([["a", 1], ["d", 1]]),
    dead: new Set(["b"]),
    queued: new Set(["c"]),
    ...change,
  };
}

Deno.test("oracle.checkLoss() finds what is neither delivered, dead nor queued", () => {
  assertEquals(checkLoss(makeRecords()), []);
  for (
    const [name, change] of Object.entries({
      delivered: { delivered: new Map() },
      dead: { dead: new Set<string>() },
      queued: { queued: new Set<string>() },
    })
  ) {
    assertEquals(findLost(makeRecords(change)).length, 1, name);
    assertEquals(checkLoss(makeRecords(change)).map(({ law }) => law), ["I1"], name);
  }
});

Deno.test("oracle.checkOrigin() finds what nobody sent, and what was changed", () => {
  assertEquals(checkOrigin(makeRecords(), []), []);
  const foreign = makeRecords({ delivered: new Map([["x", 1]]) });
  assertEquals(checkOrigin(foreign, [])[0]!.detail, "1 nobody sent, such as x");
  assertEquals(checkOrigin(makeRecords({ dead: new Set(["y"]) }), []).length, 1);
  assertEquals(checkOrigin(makeRecords(), ["a"])[0]!.detail, "1 changed, such as a");
});

Deno.test("oracle.checkDuplicates() allows as many repeats as it is told", () => {
  const delivered = new Map([["a", 3], ["b", 1], ["c", 2]]);
  assertEquals(countDuplicates(delivered), 3);
  assertEquals(checkDuplicates(delivered, 3), []);
  assertEquals(checkDuplicates(delivered, 2)[0]!.law, "I3");
});

Deno.test("oracle.checkUsage() bounds memory and descriptors, each by itself", () => {
  const usage = { peakBytes: 10, allowedBytes: 10, descriptors: 5, allowedDescriptors: 5 };
  assertEquals(checkUsage(usage), []);
  assertEquals(checkUsage({ ...usage, peakBytes: 11 }).length, 1);
  assertEquals(checkUsage({ ...usage, descriptors: 6 }).length, 1);
});

Deno.test("oracle.checkShares() allows four standard deviations and a packet", () => {
  const weights = new Map([["a", 3], ["b", 1]]);
  const of = (a: number, b: number) => checkShares(new Map([["a", a], ["b", b]]), weights).length;
  assertEquals(of(750, 250), 0);
  // 4·√(1000·0.75·0.25) is 54.8.
  assertEquals(of(805, 195), 0);
  assertEquals(of(807, 193), 2);
  assertEquals(checkShares(new Map([["a", 1000]]), weights).length, 2);
});

Deno.test("oracle.checkLife() passes on why it does not live", () => {
  assertEquals(checkLife(undefined), []);
  assertEquals(checkLife("no answer"), [{ law: "I6", detail: "no answer" }]);
});

Deno.test("oracle.checkBooks() counts packets and messages", () => {
  const count = (packets: number, messages: number) => ({ packets, messages });
  const books = {
    accepted: { ...count(10, 100), bytes: 0 },
    delivered: count(4, 40),
    dead_lettered: count(3, 30),
    queued: {
      ...count(2, 20),
      bytes: 0,
      capacity: 1,
      held_bytes: 0,
      capacity_bytes: 1,
      oldest_age_seconds: 0,
      in_memory: { packets: 0, bytes: 0 },
    },
    in_flight: count(1, 10),
  };
  assertEquals(checkBooks(books), []);
  assertEquals(checkBooks({ ...books, in_flight: count(1, 9) }), [
    { law: "I7", detail: "100 messages accepted, 99 accounted for" },
  ]);
  assertEquals(checkBooks({ ...books, delivered: count(5, 41) }).length, 2);
});

Deno.test("oracle.slopeOf() is the rise per step of the nearest line", () => {
  assertEquals(slopeOf([1, 3, 5, 7]), 2);
  assertEquals(slopeOf([5, 5, 5]), 0);
  assertEquals(slopeOf([0, 1, 0, -1, 0]).toFixed(2), "-0.20");
  assertEquals(slopeOf([7]), 0);
  assertEquals(slopeOf([]), 0);
});
