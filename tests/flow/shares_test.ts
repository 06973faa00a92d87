/** Shares in messages, counted at the analyzers: steady, after a death, after the return. */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { seededRandom } from "../../src/random.ts";
import { heavyTailed, makePacket } from "../support/agent.ts";
import { sharesSince } from "../support/fleet.ts";
import { eventually, startSystem, type System } from "../support/system.ts";

const PACKETS = 10_000;
/** 0.2 points: two or three of the largest packets in the 1.4 million messages of a phase. */
const TOLERANCE = 0.002;
const QUICK_HEALTH = [
  "--health-check-interval=200ms",
  "--ejection-time=500ms",
  "--slow-start=1s",
];

type Shares = Readonly<Record<string, number>>;

const WEIGHTS: Shares = { analyzer1: 0.4, analyzer2: 0.3, analyzer3: 0.2, analyzer4: 0.1 };
const WITHOUT_SECOND: Shares = {
  analyzer1: 4 / 7,
  analyzer2: 0,
  analyzer3: 2 / 7,
  analyzer4: 1 / 7,
};

/** Sends heavy-tailed packets and holds each analyzer's part of the messages against its target. */
async function assertShares(
  system: System,
  expected: Shares,
  { phase, count = PACKETS, tolerance = TOLERANCE }: {
    phase: string;
    count?: number;
    tolerance?: number;
  },
): Promise<void> {
  const before = system.fleet.messages();
  await system.agent.sendAll(heavyTailed(phase, count, seededRandom(count)));
  await system.settles();
  const shares = sharesSince(before, system.fleet.messages());
  for (const [id, share] of Object.entries(expected)) {
    assertAlmostEquals(shares.get(id) ?? 0, share, tolerance, `${phase}: share of ${id}`);
  }
}

/** Waits until an analyzer is healthy and the last tick of its slow start is over. */
async function isWholeAgain(system: System, id: string): Promise<void> {
  await system.becomes(id, "healthy");
  await eventually(async () => (await system.analyzer(id)).state_seconds > 2.2, {
    name: `the slow start of ${id} is over`,
  });
}

Deno.test("shares are within 0.2 points of the weights, also after a death and the return", async () => {
  await using system = await startSystem({ weights: Object.values(WEIGHTS), flags: QUICK_HEALTH });
  await assertShares(system, WEIGHTS, { phase: "steady" });

  await system.fleet.kill("analyzer2");
  await system.becomes("analyzer2", "ejected");
  await assertShares(system, WITHOUT_SECOND, { phase: "without the second" });

  await system.fleet.start("analyzer2");
  await isWholeAgain(system, "analyzer2");
  await assertShares(system, WEIGHTS, { phase: "after the return" });
  await system.conservation();
});

Deno.test("shares follow a changed weight, a pause, a removal and a newcomer at once", async () => {
  await using system = await startSystem({ weights: [3, 1], flags: QUICK_HEALTH });
  const path = "/api/v1/analyzers/analyzer1";
  // Fewer packets, so one of the largest weighs more: 1000 of some 290,000 messages.
  const few = { count: 2000, tolerance: 0.006 };
  await assertShares(system, { analyzer1: 0.75, analyzer2: 0.25 }, { phase: "steady", ...few });

  assertEquals((await system.call("PATCH", path, { weight: 1 })).status, 200);
  await assertShares(system, { analyzer1: 0.5, analyzer2: 0.5 }, { phase: "reweighted", ...few });

  assertEquals((await system.call("PATCH", path, { paused: true })).status, 200);
  await assertShares(system, { analyzer1: 0, analyzer2: 1 }, { phase: "paused", ...few });

  assertEquals((await system.call("PATCH", path, { paused: false })).status, 200);
  await assertShares(system, { analyzer1: 0.5, analyzer2: 0.5 }, { phase: "resumed", ...few });

  await system.join("analyzer3", 2);
  const joined = { analyzer1: 0.25, analyzer2: 0.25, analyzer3: 0.5 };
  await assertShares(system, joined, { phase: "joined", ...few });

  assertEquals((await system.call("DELETE", path)).status, 200);
  const removed = { analyzer1: 0, analyzer2: 1 / 3, analyzer3: 2 / 3 };
  await assertShares(system, removed, { phase: "removed", ...few });
  await system.conservation();
});

Deno.test("shares of a paused fleet wait in the queue until one is resumed", async () => {
  await using system = await startSystem({ weights: [1] });
  const path = "/api/v1/analyzers/analyzer1";
  await system.call("PATCH", path, { paused: true });
  await system.agent.sendAll(Array.from({ length: 100 }, (_, i) => makePacket(`held-${i}`)));
  assertEquals((await system.metrics()).queued.packets, 100);
  await system.conservation({ queued: 100 });
  await system.call("PATCH", path, { paused: false });
  await system.conservation();
});
