/** Whom the registry ejects, how many at most, and how they come back. */

import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { BROKEN, count, type Failed, REFUSED, Setup } from "./support/registries.ts";

Deno.test("registry lets the 5xx class eject half at most and never the last", () => {
  for (
    const [ids, most] of [["a", 0], ["ab", 1], ["abc", 1], ["abcd", 2], ["abcdefgh", 4]] as const
  ) {
    const setup = new Setup(ids);
    for (const id of ids) setup.fail(id, BROKEN, { times: 20 });
    const out = setup.registry.views().filter(({ state }) => state === "ejected").length;
    assertEquals(out, most, ids);
  }
});

Deno.test("registry lets the 5xx class eject half of those that are not down, however many are", () => {
  const setup = new Setup("abcdefgh");
  for (const id of "efgh") setup.fail(id, REFUSED, { times: 3 });
  for (const id of "abcd") setup.fail(id, BROKEN, { times: 20 });
  const out = "abcd".split("").filter((id) => setup.view(id).state === "ejected");
  assertEquals(out, ["a", "b"]);
  // One after the other comes back and fails: with six in use a third may go, with eight a fourth.
  for (const id of "efgh") {
    setup.readmit(id);
    setup.probe(id, true, { times: 3 });
    setup.fail(id, BROKEN, { times: 20 });
  }
  const all = setup.registry.views().filter(({ state }) => state === "ejected");
  assertEquals(all.map(({ id }) => id), ["a", "b", "f", "h"]);
});

Deno.test("registry counts no paused analyzer among those that are left", () => {
  const setup = new Setup("abcd");
  for (const id of "cd") setup.registry.update(setup.get(id), { paused: true });
  for (const id of "ab") setup.fail(id, BROKEN, { times: 20 });
  assertEquals(setup.registry.views().map(({ state }) => state === "ejected"), [
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("registry leaves one in use where others are down, paused or on probation", () => {
  const setup = new Setup("abc");
  setup.registry.update(setup.get("c"), { paused: true });
  setup.fail("a", BROKEN, { times: 5 });
  assertEquals(setup.view("a").state, "ejected");
  setup.readmit("a");
  setup.fail("b", BROKEN, { times: 5 });
  assertEquals(setup.view("b").state, "ejected");
  setup.fail("a", BROKEN, { times: 20 });
  assertEquals(setup.view("a").state, "probation");
});

Deno.test("registry lets the connection class eject all, and all come back", () => {
  const setup = new Setup("abc");
  for (const id of "abc") setup.fail(id, REFUSED, { times: 3 });
  assertEquals(setup.registry.draw(setup.packet()), undefined);
  assertEquals(setup.withdrawn, ["a", "b", "c"]);
  for (const id of "abc") setup.readmit(id);
  const trials = Array.from({ length: 3 }, () => setup.registry.draw(setup.packet())?.id).sort();
  assertEquals(trials, ["a", "b", "c"], "one packet each on probation");
  assertEquals(setup.registry.draw(setup.packet()), undefined);
});

Deno.test("registry.failed() counts every failure, but health hears only of the analyzer's own", () => {
  const setup = new Setup("abcd");
  const busy: Failed = { kind: "retriable", failure: "http_4xx", status: 429, detail: "HTTP 429" };
  const rejected: Failed = {
    kind: "rejected",
    failure: "http_4xx",
    status: 400,
    detail: "HTTP 400",
  };
  setup.fail("a", busy, { times: 20 });
  setup.fail("a", rejected, { times: 20 });
  for (let i = 0; i < 20; i++) {
    const packet = { ...setup.packet(1, ["b"]), attempts: 1 };
    setup.fail("a", BROKEN, { packet });
  }
  setup.registry.failed(setup.get("a"), REFUSED, {
    packet: setup.packet(),
    startedMs: setup.clock.monotonicMs(),
    undecided: true,
  });
  assertEquals(setup.view("a").state, "healthy");
  assertEquals(setup.view("a").failures, {
    connect: 1,
    timeout: 0,
    broken: 0,
    http_5xx: 20,
    http_4xx: 40,
  });
});

Deno.test("registry brings an analyzer back in slow start, renewing weights each second", () => {
  const setup = new Setup("ab");
  setup.fail("a", REFUSED, { times: 3 });
  setup.readmit("a");
  setup.probe("a", true, { times: 3 });
  assertEquals(setup.view("a").state, "healthy");
  // 10 % of the weight beside a whole one, then half of it, then all.
  for (const [factor, nextSeconds] of [[0.1, 15], [0.55, 15], [1, 60]] as const) {
    const got = count(setup.drawn(2000), "a");
    assertLess(Math.abs(got - 2000 * factor / (1 + factor)), 8, `factor ${factor}`);
    assertAlmostEquals(setup.view("a").share.target, factor / (1 + factor), 1e-6);
    setup.clock.advance(nextSeconds * 1000);
  }
  assertEquals(setup.clock.timers, 0, "no timer is left once all are at full weight");
});

Deno.test("registry says when an analyzer has its full weight again, not when it fell on the way", () => {
  const setup = new Setup("ab");
  const come = () => {
    setup.readmit("a");
    setup.deliver("a", 1, 3);
  };
  const said = () => setup.events.filter((event) => event.includes("full weight")).length;
  setup.fail("a", REFUSED, { times: 3 });
  come();
  setup.clock.advance(15_000);
  assertEquals(setup.view("a").status.kind, "slow_start");
  setup.fail("a", REFUSED, { times: 3 });
  setup.clock.advance(60_000);
  assertEquals(said(), 0);
  come();
  setup.clock.advance(31_000);
  assertEquals([said(), setup.view("a").status.kind], [1, "healthy"]);
  assertEquals(setup.clock.timers, 0);
});

Deno.test("registry brings an analyzer back at full weight without a slow start", () => {
  const setup = new Setup("ab", { slowStartMs: 0 });
  setup.fail("a", REFUSED, { times: 3 });
  setup.readmit("a");
  setup.probe("a", true, { times: 3 });
  assertLess(Math.abs(count(setup.drawn(1000), "a") - 500), 4);
});
