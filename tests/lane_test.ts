import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { Batch, Delivery } from "../src/delivery.ts";
import { DEFAULT_HEALTH } from "../src/health.ts";
import { type LaneDoors, type LaneLimits, maxLoad } from "../src/lane.ts";
import type { Log } from "../src/log.ts";
import type { Outcome } from "../src/outcome.ts";
import { type Packet, sealPacket } from "../src/packet.ts";
import { MemoryQueue } from "../src/queue/memory.ts";
import { seededRandom } from "../src/random.ts";
import { Registry } from "../src/registry.ts";
import { Lanes, runWorkers } from "../src/worker.ts";
import { FakeClock } from "./support/fake_clock.ts";

type Failed = Exclude<Outcome, { kind: "delivered" }>;

const LIMITS: LaneLimits = {
  maxInFlight: 64,
  maxBatchesInFlight: 4,
  maxBatchPackets: 256,
  maxBatchBytes: 1024 * 1024,
};
const DELIVERED: Outcome = { kind: "delivered", status: 200, latencyMs: 1 };
const REFUSED: Failed = { kind: "retriable", failure: "connect", detail: "refused" };
const MALFORMED = answer(400);

/** Ways to fail that do not tell which packet of a batch is at fault. */
const FAILURES: Record<string, Failed> = {
  "503 without Retry-After": answer(503),
  "500": answer(500),
  "404": answer(404),
  "413": answer(413),
  "a cut connection": { kind: "retriable", failure: "timeout", detail: "Connection closed" },
  "a timeout": { kind: "retriable", failure: "timeout", detail: "No answer within 15000 ms" },
};

function answer(status: number, retryAfterMs?: number): Failed {
  const detail = `HTTP ${status}`;
  if ([400, 413].includes(status)) return { kind: "rejected", failure: "http_4xx", status, detail };
  const failure = status >= 500 ? "http_5xx" : "http_4xx";
  return {
    kind: "retriable",
    failure,
    status,
    detail,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** One request as the script sees it. */
interface Post {
  /** The analyzer. */
  readonly to: string;
  readonly ids: readonly string[];
  readonly attempts: readonly number[];
  readonly atMs: number;
}

/** Queue, registry, lanes and one worker over a delivery that does what the test says. */
class Setup implements AsyncDisposable {
  readonly clock = new FakeClock({ monotonicMs: 50_000 });
  readonly queue = new MemoryQueue({ capacity: 10_000, capacityBytes: 1e9 }, this.clock);
  readonly posts: Post[] = [];
  readonly registry: Registry;
  /** What an analyzer answers; changed by tests at any time. */
  respond: (post: Post) => Outcome | Promise<Outcome>;
  readonly #workers: Promise<void>;
  #stopped = false;

  constructor(ids: string, respond: Setup["respond"], options: {
    limits?: Partial<LaneLimits>;
    batches?: boolean;
    maxRetries?: number;
    intervalMs?: number;
  } = {}) {
    const { clock, queue } = this;
    this.respond = respond;
    const limits = { ...LIMITS, ...options.limits };
    const random = seededRandom(7);
    const log: Log = { debug() {}, info() {}, warn() {}, error() {}, flush() {} };
    this.registry = new Registry({
      health: DEFAULT_HEALTH,
      maxLoad: (analyzer) => maxLoad(analyzer, limits),
    }, { clock, random, log });
    const doors: LaneDoors = {
      ...{ queue, clock, random, log, limits, registry: this.registry },
      delivery: { post: (url, batch) => this.#post(url, batch), forget() {}, close() {} },
      policy: { maxRetries: options.maxRetries ?? 5, intervalMs: options.intervalMs ?? 200 },
      isStopped: () => this.#stopped,
    };
    for (const id of ids) {
      this.registry.put({ id, url: id, weight: 1 });
      this.registry.get(id)!.batches = options.batches ?? true;
    }
    this.#workers = runWorkers(1, { lanes: new Lanes(doors), doors });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.queue.close();
    this.registry.close();
    await this.#workers;
  }

  accept(ids: readonly string[], bytes = 100): void {
    for (const id of ids) assert(this.queue.accept(createPacket(id, bytes)));
  }

  /** Lets everything go on that waits for no timer. */
  async turn(): Promise<void> {
    for (let i = 0; i < 500; i++) await Promise.resolve();
  }

  /** Moves the clock on by small steps, and everything with it. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5) {
      await this.turn();
      this.clock.advance(5);
    }
    await this.turn();
  }

  async settle(): Promise<void> {
    for (let seconds = 0; seconds < 120; seconds++) {
      const { ledger } = this.queue;
      if (ledger.count("queued").packets + ledger.count("in_flight").packets === 0) return;
      await this.pass(1000);
    }
    throw new Error("It never ends");
  }

  get dead(): string[] {
    return this.queue.deadLetters.list({ offset: 0, limit: 1e6 }).map(({ packetId }) => packetId);
  }

  get delivered(): number {
    return this.queue.ledger.count("delivered").packets;
  }

  /** States of all analyzers, in order. */
  get states(): string[] {
    return this.registry.views().map(({ state }) => state);
  }

  async #post(to: string, batch: Batch): ReturnType<Delivery["post"]> {
    const post = {
      to,
      ids: batch.map(({ id }) => id),
      attempts: batch.map(({ attempts }) => attempts),
      atMs: this.clock.monotonicMs(),
    };
    this.posts.push(post);
    return await this.respond(post);
  }
}

function createPacket(id: string, bytes: number): Packet {
  const shape = { messages: 1, packetId: id, closeAt: 0, multiline: false };
  const options = { receivedAt: "", acceptedAtMs: 0, newId: () => id };
  return { ...sealPacket(new Uint8Array(1), shape, options), bytes };
}

function numbered(count: number, prefix = "good"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
}

/** Fails whatever holds the poison. */
function poisoned(failure: Failed): Setup["respond"] {
  return ({ ids }) => ids.includes("poison") ? failure : DELIVERED;
}

function withPoison(count: number): string[] {
  const good = numbered(count);
  return [...good.slice(0, count >> 1), "poison", ...good.slice(count >> 1)];
}

for (const [name, failure] of Object.entries(FAILURES)) {
  for (const maxRetries of [5, 1, 0]) {
    Deno.test(`lane buries the poison alone where it brings ${name}, with ${maxRetries} retries`, async () => {
      // Without a back-off what has failed together comes back together.
      await using setup = new Setup("abcd", poisoned(failure), { maxRetries, intervalMs: 0 });
      setup.accept(withPoison(400));
      await setup.settle();
      assertEquals(setup.dead, ["poison"]);
      assertEquals(setup.delivered, 400);
      assertEquals(setup.states, ["healthy", "healthy", "healthy", "healthy"]);
      assert(setup.posts.some(({ ids }) => ids.length > 10 && ids.includes("poison")), "batched");
    });
  }

  Deno.test(`lane sends a packet alone once it has failed by ${name}`, async () => {
    let failed = 0;
    await using setup = new Setup("ab", ({ ids }) => {
      if (!ids.includes("poison")) return DELIVERED;
      // There is always company to be had for the way back.
      setup.accept(numbered(4, `company-${failed++}`));
      return failure;
    }, { intervalMs: 0 });
    setup.accept(withPoison(60));
    await setup.settle();
    const again = setup.posts.filter(({ attempts }) => attempts.some((count) => count > 0));
    assertGreater(again.length, 0);
    assertEquals(again.filter(({ ids }) => ids.length > 1), []);
    const alone = setup.posts.findIndex(({ ids }) => ids.length === 1 && ids[0] === "poison");
    const last = setup.posts.findLastIndex(({ ids }) => ids.length > 1 && ids.includes("poison"));
    assertGreater(alone, last, "never in company again");
  });
}

for (const batches of [true, false]) {
  const how = batches ? "in batches" : "one by one";
  Deno.test(`lane ejects nobody for a packet that makes analyzers cut the connection, ${how}`, async () => {
    const cut = FAILURES["a cut connection"]!;
    await using setup = new Setup("ab", poisoned(cut), { batches });
    setup.accept(withPoison(100));
    await setup.settle();
    assertEquals([setup.dead, setup.delivered], [["poison"], 100]);
    assertGreater(setup.posts.filter(({ ids }) => ids.includes("poison")).length, 5);
    assertEquals(setup.states, ["healthy", "healthy"]);
  });
}

Deno.test("lane counts no attempt for a batch whose connection was refused", async () => {
  await using setup = new Setup("ab", ({ to }) => to === "a" ? REFUSED : DELIVERED);
  setup.accept(numbered(100));
  await setup.settle();
  assertEquals([setup.dead, setup.delivered], [[], 100]);
  assert(setup.posts.every(({ attempts }) => attempts.every((count) => count === 0)));
});

const STOPS: Record<string, (setup: Setup) => void> = {
  paused: ({ registry }) => registry.update(registry.get("a")!, { paused: true }),
  removed: ({ registry }) => void registry.remove("a"),
  ejected: (setup) => {
    for (let i = 0; i < 3; i++) {
      setup.registry.failed(setup.registry.get("a")!, REFUSED, {
        packet: createPacket(`refused-${i}`, 1),
        startedMs: setup.clock.monotonicMs(),
        undecided: false,
      });
    }
  },
};

for (const [how, stop] of Object.entries(STOPS)) {
  Deno.test(`lane halves no further once the analyzer is ${how}; the rest costs no attempt`, async () => {
    await using setup = new Setup("a", () => answer(500));
    setup.registry.put({ id: "b", url: "b", weight: 1 });
    setup.registry.update(setup.registry.get("b")!, { paused: true });
    setup.respond = ({ to, ids }) => {
      // The first packet goes ahead by itself.
      if (to === "b" || ids.length === 1) return DELIVERED;
      // The whole, its first half, its first quarter: then no more.
      if (ids.length === 16) stop(setup);
      return answer(500);
    };
    setup.accept(numbered(65));
    await setup.turn();
    setup.registry.update(setup.registry.get("b")!, { paused: false });
    await setup.settle();
    const [atA, atB] = ["a", "b"].map((id) => setup.posts.filter(({ to }) => to === id));
    assertEquals(atA!.map(({ ids }) => ids.length), [1, 64, 32, 16]);
    assertEquals([setup.delivered, setup.dead], [65, []]);
    assert(atB!.every(({ attempts }) => attempts.every((count) => count === 0)));
    const { inFlight, load } = setup.registry.get("b")!;
    assertEquals([inFlight, load], [0, 0]);
  });
}

Deno.test("lane ends a batch's halving when its single packets have got the analyzer ejected", async () => {
  await using setup = new Setup("ab", ({ to }) => to === "a" ? answer(500) : DELIVERED);
  setup.accept(numbered(200));
  await setup.settle();
  assertEquals([setup.delivered, setup.dead], [200, []]);
  assertEquals(setup.states, ["ejected", "healthy"]);
  // Five single packets, and what led to them.
  assertLess(setup.posts.filter(({ to }) => to === "a").length, 40);
});

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
