/** The one status of an analyzer: what decides how it takes part now, why, and since when. */

import { assertEquals } from "@std/assert";
import { MAX_LOAD, REFUSED, Setup } from "./support/registries.ts";

/** `kind, reason, seconds`, as it is shown. */
function statusOf(setup: Setup): [string, string, number] {
  const { kind, reason, seconds } = setup.view("a").status;
  return [kind, reason, seconds];
}

Deno.test("status of a paused analyzer is since the pause, whatever it was before", () => {
  const setup = new Setup("a");
  setup.clock.advance(100_000);
  assertEquals(statusOf(setup), ["healthy", "registered", 100]);
  setup.registry.update(setup.get("a"), { paused: true });
  setup.clock.advance(3000);
  assertEquals(statusOf(setup), ["paused", "by an operator", 3]);
  setup.fail("a", REFUSED, { times: 3 });
  assertEquals(statusOf(setup)[0], "paused", "it would get nothing anyway");
  setup.registry.update(setup.get("a"), { paused: false });
  assertEquals(statusOf(setup)[0], "ejected");
});

Deno.test("status of an analyzer that asked for a pause is resting until that is over", () => {
  const setup = new Setup("a");
  setup.fail("a", {
    kind: "retriable",
    failure: "http_5xx",
    status: 503,
    detail: "HTTP 503",
    retryAfterMs: 20_000,
  });
  setup.clock.advance(5000);
  assertEquals(statusOf(setup), ["resting", "it asked for a pause of 20 s", 5]);
  assertEquals(setup.view("a").eligible, false);
  setup.clock.advance(15_000);
  assertEquals(statusOf(setup)[0], "healthy");
  assertEquals(setup.events.slice(-4), [
    "analyzer asked for a pause a",
    "no analyzer is available: packets wait undefined",
    "analyzer's pause is over a",
    "an analyzer is available again undefined",
  ]);
});

Deno.test("status of a full analyzer is so once it has lasted, and since it began", () => {
  const setup = new Setup("a");
  for (let i = 0; i < MAX_LOAD; i++) setup.registry.draw(setup.packet());
  setup.clock.advance(999);
  assertEquals(statusOf(setup)[0], "healthy");
  setup.clock.advance(1);
  assertEquals(statusOf(setup), ["full", "it has all in flight that it may have", 1]);
  setup.registry.release(setup.get("a"));
  assertEquals(statusOf(setup)[0], "healthy");
});

Deno.test("status follows an analyzer out and back, with what happened last", () => {
  const setup = new Setup("a");
  setup.fail("a", REFUSED, { times: 3 });
  assertEquals(statusOf(setup), [
    "ejected",
    `3 failures in a row, the last: ${REFUSED.detail}`,
    0,
  ]);
  setup.readmit("a");
  assertEquals(statusOf(setup)[0], "probation");
  setup.deliver("a", 1, 3);
  setup.clock.advance(10_000);
  assertEquals(statusOf(setup), ["slow_start", "with 40 % of its weight", 10]);
  setup.clock.advance(20_000);
  assertEquals(statusOf(setup), ["healthy", "passed probation", 30]);
});
