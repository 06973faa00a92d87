import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { LaneLimits } from "../src/lane.ts";
import type { Outcome } from "../src/outcome.ts";
import { answer, DELIVERED, LIMITS, numbered, REFUSED, Setup } from "./support/lanes.ts";

const MALFORMED = answer(400);

Deno.test("lane lets an analyzer that asks for a pause alone; others take its share at once", async () => {
  for (const failure of [answer(429, 7000), answer(503, 7000)]) {
    await using setup = new Setup("abc", ({ to }) => to === "a" ? failure : DELIVERED, {
      batches: false,
    });
    for (let round = 0; round < 60; round++) {
      setup.accept(numbered(10, `round-${round}`));
      await setup.pass(100);
    }
    const asked = setup.posts.filter(({ to }) => to === "a");
    const restMs = asked[0]!.atMs;
    assertEquals(new Set(asked.map(({ atMs }) => atMs)), new Set([restMs]));
    assertEquals(setup.delivered, 600, "nothing waits for it");
    const again = setup.posts.filter(({ attempts }) => attempts[0]! > 0);
    assertEquals(again.length, asked.length);
    // Back-off of the first retry: at most the interval.
    for (const { to, atMs } of again) assert(to !== "a" && atMs <= restMs + 205, `${atMs}`);
    const atB = setup.posts.filter(({ to }) => to === "b").length;
    assertLess(Math.abs(atB - 300), 12, "half of what is left each");
    assertEquals(setup.states, ["healthy", "healthy", "healthy"], "no failure of its health");

    setup.respond = () => DELIVERED;
    await setup.pass(2000);
    setup.accept(numbered(30, "later"));
    await setup.settle();
    assertEquals(setup.posts.slice(-30).filter(({ to }) => to === "a").length, 10);
  }
});

Deno.test("lane does not eject however often it is asked for pauses", async () => {
  await using setup = new Setup("a", () => answer(503, 1000), { batches: false, maxRetries: 50 });
  setup.accept(numbered(1));
  await setup.pass(20_000);
  assertGreater(setup.posts.length, 5);
  assertEquals(setup.states, ["healthy"]);
});

Deno.test("lane lets packets wait while all analyzers have asked for a pause", async () => {
  await using setup = new Setup("ab", () => answer(503, 30_000), { batches: false });
  setup.accept(numbered(20));
  await setup.pass(100);
  const posts = setup.posts.length;
  setup.respond = () => DELIVERED;
  setup.accept(numbered(10, "new"));
  await setup.pass(29_000);
  assertEquals([setup.posts.length, setup.delivered, setup.dead], [posts, 0, []]);
  await setup.pass(1000);
  assertEquals(setup.delivered, 30);
});

Deno.test("lane with a batch of one sends as if there were no batches: in parallel", async () => {
  const held = Promise.withResolvers<Outcome>();
  await using setup = new Setup("a", () => held.promise, {
    limits: { maxBatchPackets: 1, maxInFlight: 10 },
  });
  setup.accept(numbered(15));
  await setup.turn();
  assertEquals(setup.posts.map(({ ids }) => ids.length), Array(10).fill(1));
  assertEquals(setup.registry.get("a")!.load, 10, "then it is full");
  held.resolve(DELIVERED);
  await setup.turn();
  assertEquals([setup.delivered, setup.posts.length], [15, 15], "and no timer is waited for");
});

Deno.test("lane starts further requests for what is large, up to four", async () => {
  const held = Promise.withResolvers<Outcome>();
  await using setup = new Setup("a", () => held.promise);
  setup.accept(numbered(3), 100 * 1024);
  await setup.turn();
  assertEquals(setup.posts.map(({ ids }) => ids.length), [1, 2], "the others are worth one more");
  setup.accept(numbered(9, "more"), 130 * 1024);
  await setup.turn();
  assertEquals(setup.posts.map(({ ids }) => ids.length), [1, 2, 1, 1]);
  held.resolve(DELIVERED);
  await setup.settle();
  for (const { ids } of setup.posts) assertLess(ids.length * 100 * 1024, LIMITS.maxBatchBytes);
});

Deno.test("lane finds what fills a small batch worth a request of its own", async () => {
  for (
    const limits of [{ maxBatchPackets: 8 }, { maxBatchBytes: 800 }] as Partial<LaneLimits>[]
  ) {
    const held = Promise.withResolvers<Outcome>();
    await using setup = new Setup("a", () => held.promise, { limits });
    setup.accept(numbered(18));
    await setup.turn();
    assertEquals(setup.posts.map(({ ids }) => ids.length), [1, 8, 8]);
    held.resolve(DELIVERED);
    await setup.settle();
  }
});

Deno.test("lane has one request at a time where only one may be in flight", async () => {
  let underWay = 0;
  let most = 0;
  await using setup = new Setup("a", async () => {
    most = Math.max(most, ++underWay);
    await new Promise<void>((resolve) => setup.clock.after(200, resolve));
    underWay--;
    return DELIVERED;
  }, { limits: { maxInFlight: 1 } });
  for (let round = 0; round < 20; round++) {
    setup.accept(numbered(100, `round-${round}`), 4000);
    await setup.pass(100);
  }
  await setup.settle();
  assertEquals([most, setup.delivered], [1, 2000]);
});

Deno.test("lane lets what waits behind a request that hangs pass it", async () => {
  const held = Promise.withResolvers<Outcome>();
  await using setup = new Setup("a", ({ ids }) => ids[0] === "first" ? held.promise : DELIVERED);
  setup.accept(["first"]);
  await setup.turn();
  setup.accept(["second", "third"]);
  await setup.turn();
  assertEquals(setup.posts.length, 1, "the answer mostly comes first");
  await setup.pass(50);
  assertEquals(setup.posts.map(({ ids }) => ids), [["first"], ["second", "third"]]);
  setup.accept(["fourth"]);
  await setup.pass(60);
  assertEquals(setup.delivered, 3);
  held.resolve(DELIVERED);
  await setup.settle();
});

Deno.test("lane does not take two rejections by one analyzer for those of two", async () => {
  await using setup = new Setup("ab", () => MALFORMED);
  setup.registry.update(setup.registry.get("b")!, { paused: true });
  setup.accept(["odd"]);
  await setup.pass(100);
  await setup.pass(400);
  assertGreater(setup.posts.length, 1);
  assertEquals(setup.dead, []);
  setup.respond = ({ to }) => to === "b" ? DELIVERED : MALFORMED;
  setup.registry.update(setup.registry.get("b")!, { paused: false });
  await setup.settle();
  assertEquals([setup.dead, setup.delivered], [[], 1]);
});

Deno.test("lane gives up at once what the only analyzer rejects", async () => {
  await using setup = new Setup("a", () => MALFORMED);
  setup.accept(["odd"]);
  await setup.turn();
  assertEquals([setup.posts.length, setup.dead], [1, ["odd"]]);
});

Deno.test("lane takes a refused connection for no opinion of the packet", async () => {
  await using setup = new Setup("ab", ({ to }) => to === "a" ? REFUSED : MALFORMED);
  while (setup.posts.at(-1)?.to !== "a") {
    setup.accept([`odd-${setup.posts.length}`]);
    await setup.turn();
  }
  const { ids: [odd] } = setup.posts.at(-1)!;
  setup.respond = ({ to }) => to === "a" ? DELIVERED : MALFORMED;
  await setup.settle();
  assert(!setup.dead.includes(odd!), "b alone has rejected it");
});
