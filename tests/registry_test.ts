import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import {
  BROKEN,
  configOf,
  count,
  type Failed,
  MAX_LOAD,
  REFUSED,
  Setup,
} from "./support/registries.ts";

Deno.test("registry.put() registers, and a second time updates without doubling the weight", () => {
  const setup = new Setup();
  assertEquals(setup.registry.put(configOf("a")), "created");
  assertEquals(setup.registry.put(configOf("b")), "created");
  assertEquals(setup.registry.put(configOf("a", { weight: 3 })), "updated");
  assertEquals(setup.registry.put(configOf("a", { weight: 3 })), "updated");
  assertEquals(setup.registry.size, 2);
  assertLess(Math.abs(count(setup.drawn(1000), "a") - 750), 4);
  assertEquals(setup.registry.views().map(({ share }) => share.target), [0.75, 0.25]);
});

Deno.test("registry.draw() draws by weight, counts the load, and passes over the full", () => {
  const setup = new Setup("ab");
  const drawn = Array.from({ length: 2 * MAX_LOAD }, () => setup.registry.draw(setup.packet())!.id);
  assertEquals([count(drawn, "a"), count(drawn, "b")], [MAX_LOAD, MAX_LOAD]);
  assertEquals(setup.registry.draw(setup.packet()), undefined);
  setup.registry.release(setup.get("b"), 2);
  assertEquals(setup.registry.draw(setup.packet())?.id, "b");
  assertEquals(setup.registry.draw(setup.packet())?.id, "b");
  assertEquals(setup.registry.draw(setup.packet()), undefined);
});

Deno.test("registry.draw() avoids where a packet was tried, and is undefined without analyzers", () => {
  assertEquals(new Setup().registry.draw(new Setup().packet()), undefined);
  const setup = new Setup("abc");
  const tried = ["a", "c", "long gone"];
  for (let i = 0; i < 100; i++) {
    const analyzer = setup.registry.draw(setup.packet(1, tried))!;
    assertEquals(analyzer.id, "b");
    setup.registry.release(analyzer);
  }
});

Deno.test("registry.update() pauses and resumes at once, and tells who must give back", () => {
  const setup = new Setup("ab");
  setup.registry.update(setup.get("a"), { paused: true });
  assertEquals(setup.withdrawn, ["a"]);
  assertEquals(count(setup.drawn(100), "b"), 100);
  assertEquals([setup.view("a").eligible, setup.view("a").share.target], [false, 0]);
  setup.registry.update(setup.get("a"), { paused: false, weight: 3 });
  assertEquals(setup.withdrawn, ["a"]);
  assertLess(Math.abs(count(setup.drawn(100), "a") - 75), 4);
});

Deno.test("registry.remove() takes effect at once; what is in flight is still counted", () => {
  const setup = new Setup("ab");
  const gone = setup.get("a");
  assert(setup.registry.remove("a"));
  assert(!setup.registry.remove("a"));
  assertEquals([setup.withdrawn, setup.registry.size, setup.registry.get("a")], [
    ["a"],
    1,
    undefined,
  ]);
  assertEquals(count(setup.drawn(100), "b"), 100);
  setup.registry.delivered(gone, { packets: 1, messages: 7, startedMs: 50_000, latencyMs: 5 });
  assertEquals(gone.record.delivered, { packets: 1, messages: 7 });
});

Deno.test("registry hears a removed analyzer out without harm to the one in its place", () => {
  const setup = new Setup("a");
  const gone = setup.registry.draw(setup.packet())!;
  while (setup.registry.draw(setup.packet())) { /* until it is full */ }
  setup.registry.remove("a");
  setup.registry.put(configOf("b"));
  assertEquals(setup.get("b").entry, gone.entry, "the place is taken again");
  const events = setup.events.length;
  setup.registry.release(gone, MAX_LOAD);
  assertEquals(setup.drawn(3), ["b", "b", "b"]);
  setup.fail(gone, REFUSED, { times: 5 });
  setup.registry.probed(gone, { ok: false, detail: "", batches: true });
  assertEquals(setup.drawn(3), ["b", "b", "b"]);
  assertEquals(setup.events.slice(events), [], "nothing is said of what is gone");
});

Deno.test("registry.put() with another URL starts afresh in health and keeps record and pause", () => {
  const setup = new Setup("ab");
  setup.deliver("a", 5);
  setup.fail("a", REFUSED, { times: 3 });
  setup.registry.update(setup.get("a"), { paused: true });
  const before = setup.get("a");
  assertEquals(setup.registry.put(configOf("a", { url: "http://new.test", weight: 2 })), "updated");
  const view = setup.view("a");
  assertEquals([view.url, view.weight, view.paused, view.state], [
    "http://new.test",
    2,
    true,
    "healthy",
  ]);
  assertEquals(view.delivered, { packets: 1, messages: 5 });
  assertEquals(view.failures.connect, 3);
  assert(before.removed && !setup.get("a").removed);
  // What was in flight to the old place still counts towards the same record.
  setup.registry.delivered(before, { packets: 1, messages: 1, startedMs: 50_000, latencyMs: 5 });
  assertEquals(setup.view("a").delivered, { packets: 2, messages: 6 });
});

Deno.test("registry.views() shares sum to 1 over the eligible, whatever weights and states", () => {
  const setup = new Setup("abcdef");
  const sum = () => setup.registry.views().reduce((total, { share }) => total + share.target, 0);
  ["a", "b", "c"].forEach((id, i) => setup.registry.update(setup.get(id), { weight: 0.1 + i / 3 }));
  assertAlmostEquals(sum(), 1);
  setup.registry.update(setup.get("b"), { paused: true });
  setup.fail("c", REFUSED, { times: 3 });
  assertAlmostEquals(sum(), 1);
  setup.readmit("c");
  setup.probe("c", true, { times: 3 });
  setup.clock.advance(7_000);
  assertAlmostEquals(sum(), 1);
  for (const id of "acdef") setup.registry.remove(id);
  assertEquals(sum(), 0);
});

Deno.test("registry.views() tells the actual shares of the last minute, in messages", () => {
  const setup = new Setup("ab");
  setup.deliver("a", 30);
  setup.deliver("b", 10);
  const actual = () => setup.registry.views().map(({ share }) => share.actual);
  assertEquals(actual(), [0.75, 0.25]);
  setup.clock.advance(59_000);
  assertEquals(actual(), [0.75, 0.25]);
  setup.clock.advance(1_000);
  assertEquals(actual(), [0, 0]);
});

Deno.test("registry.draw() keeps the share of one that is full for moments", () => {
  const setup = new Setup("ab");
  setup.registry.update(setup.get("a"), { weight: 3 });
  const got = { a: 0, b: 0 };
  let held = 0;
  const draw = (hold: boolean) => {
    const { id } = setup.registry.draw(setup.packet())!;
    got[id as "a" | "b"]++;
    if (id === "a" && hold) held++;
    else setup.registry.release(setup.get(id));
  };
  for (let round = 0; round < 500; round++) {
    while (held < MAX_LOAD) draw(true);
    for (let i = 0; i < 3; i++) draw(true);
    setup.registry.release(setup.get("a"), held);
    held = 0;
    for (let i = 0; i < 20; i++) draw(false);
  }
  // Two packets of slack, and what it was owed last.
  assertLess(Math.abs(got.a - 0.75 * (got.a + got.b)), 5);
});

Deno.test("registry.failed() gives an analyzer the pause that it asks for", () => {
  const setup = new Setup("abc");
  const asks = (status: number, retryAfterMs: number) =>
    ({ kind: "retriable", failure: "http_5xx", status, detail: "", retryAfterMs }) as const;
  setup.fail("a", asks(503, 3000), { times: 20 });
  assertEquals(setup.withdrawn, ["a"]);
  const { state, eligible, share, failures } = setup.view("a");
  assertEquals([state, eligible, share.target, failures.http_5xx], ["healthy", false, 0, 20]);
  assertEquals(count(setup.drawn(300), "a"), 0);
  setup.clock.advance(2999);
  setup.fail("a", asks(429, 60_000));
  assertEquals(count(setup.drawn(300), "a"), 0);
  setup.clock.advance(1);
  assertLess(Math.abs(count(setup.drawn(300), "a") - 100), 4, "what was under way asks no more");
  assertEquals([setup.view("a").eligible, setup.clock.timers], [true, 0]);

  setup.fail("a", asks(503, 0), { times: 5 });
  assertEquals(setup.view("a").state, "ejected", "0 s is no pause");
  setup.fail("b", asks(503, 60_000));
  setup.registry.remove("b");
  setup.fail("c", asks(503, 60_000));
  assertEquals(setup.registry.draw(setup.packet()), undefined);
  setup.registry.close();
  assertEquals(setup.clock.timers, 0);
});

Deno.test("registry.eligibleAgain() resolves when a pause that was asked for is over", async () => {
  const setup = new Setup("a");
  setup.fail("a", { ...BROKEN, retryAfterMs: 1000 } as Failed);
  let resolved = false;
  const again = setup.registry.eligibleAgain().then(() => resolved = true);
  setup.clock.advance(999);
  await Promise.resolve();
  assert(!resolved);
  setup.clock.advance(1);
  await again;
});

Deno.test("registry tells when nobody is left and when somebody is back, not that the first comes", () => {
  const setup = new Setup("a");
  setup.registry.put(configOf("a", { url: "http://new.test" }));
  setup.registry.update(setup.get("a"), { paused: true });
  setup.registry.put(configOf("b"));
  setup.registry.remove("b");
  assertEquals(setup.events, [
    "analyzer registered a",
    "analyzer moved a",
    "analyzer paused a",
    "no analyzer is available: packets wait undefined",
    "analyzer registered b",
    "an analyzer is available again undefined",
    "analyzer removed b",
    "no analyzer is available: packets wait undefined",
  ]);
});

Deno.test("registry.hasOther() counts whoever is registered, in whatever state", () => {
  const setup = new Setup("a");
  const a = setup.get("a");
  assert(!setup.registry.hasOther(a));
  setup.registry.put(configOf("b"));
  setup.registry.update(setup.get("b"), { paused: true });
  assert(setup.registry.hasOther(a));
  setup.registry.remove("a");
  assert(setup.registry.hasOther(a), "the one that is left is another");
  setup.registry.remove("b");
  assert(!setup.registry.hasOther(a));
});

Deno.test("registry.view() is one of views(), and reads no other's latencies", () => {
  const setup = new Setup();
  let read = 0;
  for (let i = 0; i < 1000; i++) {
    setup.registry.put(configOf(`analyzer-${i}`, { weight: 1 + i }));
    const { latency } = setup.get(`analyzer-${i}`).record;
    const original = latency.quantilesMs.bind(latency);
    latency.quantilesMs = (fractions, nowMs) => {
      read++;
      return original(fractions, nowMs);
    };
    setup.deliver(`analyzer-${i}`, 1 + i % 7);
  }
  const one = setup.registry.view("analyzer-500");
  assertEquals(read, 1);
  assertEquals(one, setup.view("analyzer-500"));
  assertEquals(setup.registry.view("nobody"), undefined);
});

Deno.test("registry.glances() are the views() without latencies, and read none", () => {
  const setup = new Setup();
  setup.registry.put(configOf("a", { weight: 3 }));
  setup.deliver("a", 2);
  const { latency_ms: _, ...rest } = setup.view("a");
  setup.get("a").record.latency.quantilesMs = () => {
    throw new Error("A glance reads no latency");
  };
  assertEquals(setup.registry.glances(), [rest]);
});

Deno.test("registry.views() calls an analyzer full only once it has been so for a second", () => {
  const setup = new Setup("ab");
  while (setup.registry.draw(setup.packet())) { /* until both are full */ }
  setup.clock.advance(999);
  assert(setup.view("a").eligible);
  setup.registry.release(setup.get("b"));
  setup.clock.advance(1);
  assertEquals([setup.view("a").eligible, setup.view("b").eligible], [false, true]);
  assertEquals(setup.view("b").share.target, 1);
  setup.registry.release(setup.get("a"));
  assert(setup.view("a").eligible);
});

Deno.test("registry.close() stops its timer", () => {
  const setup = new Setup("ab");
  setup.fail("a", REFUSED, { times: 3 });
  setup.readmit("a");
  setup.probe("a", true, { times: 3 });
  assertEquals(setup.clock.timers, 1);
  setup.registry.close();
  assertEquals(setup.clock.timers, 0);
});

Deno.test("registry.eligibleAgain() resolves when one is registered, resumed, free or readmitted", async () => {
  const setup = new Setup();
  let resolved = 0;
  const wait = () => setup.registry.eligibleAgain().then(() => resolved++);
  const registered = wait();
  setup.registry.put(configOf("a"));
  await registered;
  setup.registry.update(setup.get("a"), { paused: true });
  const resumed = wait();
  setup.registry.update(setup.get("a"), { paused: false });
  await resumed;
  while (setup.registry.draw(setup.packet())) { /* until it is full */ }
  const free = wait();
  setup.registry.release(setup.get("a"));
  await free;
  setup.fail("a", REFUSED, { times: 3 });
  setup.registry.release(setup.get("a"), MAX_LOAD - 1);
  const readmitted = wait();
  await Promise.resolve();
  assertEquals(resolved, 3);
  setup.readmit("a");
  await readmitted;
  const closed = wait();
  setup.registry.close();
  await closed;
});

Deno.test("registry.probed() learns whether an analyzer takes batches, which changes its limit", () => {
  const setup = new Setup("a");
  while (setup.registry.draw(setup.packet())) { /* until it is full */ }
  setup.probe("a", true, { batches: true });
  assert(setup.get("a").batches);
  assertStrictEquals(setup.registry.draw(setup.packet()), setup.get("a"));
  setup.probe("a", false);
  assert(setup.get("a").batches, "a failed check says nothing of it");
  setup.probe("a", true, { batches: false });
  assertEquals(setup.registry.draw(setup.packet()), undefined);
});
