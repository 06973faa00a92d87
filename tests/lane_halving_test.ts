/** A batch that fails: how lanes halve it until they know which packet is at fault. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import {
  answer,
  createPacket,
  DELIVERED,
  type Failed,
  numbered,
  REFUSED,
  Setup,
} from "./support/lanes.ts";

/** Ways to fail that do not tell which packet of a batch is at fault. */
const FAILURES: Record<string, Failed> = {
  "503 without Retry-After": answer(503),
  "500": answer(500),
  "404": answer(404),
  "413": answer(413),
  "a cut connection": { kind: "retriable", failure: "timeout", detail: "Connection closed" },
  "a timeout": { kind: "retriable", failure: "timeout", detail: "No answer within 15000 ms" },
};

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
