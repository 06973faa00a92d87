/**
 * Analyzers die and return at random for a minute under load, with default health settings.
 *
 * The long one: about 110 seconds, since slow start alone takes 30.
 */

import { assert, assertAlmostEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { sleep, systemClock } from "../../src/clock.ts";
import { type Random, seededRandom } from "../../src/random.ts";
import { makePacket } from "../support/agent.ts";
import { sharesSince } from "../support/fleet.ts";
import { eventually, startSystem, type System } from "../support/system.ts";

const WEIGHTS = [0.4, 0.3, 0.2, 0.1];
const CHAOS_MS = 60_000;
const RECOVERY_MS = 45_000;
const MEASURED_PACKETS = 3000;
const SEED = 20_261;

/** Kills one that is up every 2 to 6 s, and starts it again 0.5 to 5 s later. */
async function wreak(system: System, random: Random): Promise<number> {
  const { fleet } = system;
  const startedMs = performance.now();
  const restarts: Promise<void>[] = [];
  let kills = 0;
  for (;;) {
    await sleep(2000 + 4000 * random(), systemClock);
    if (performance.now() - startedMs >= CHAOS_MS) break;
    const up = fleet.ids.filter((id) => fleet.isUp(id));
    const victim = up[Math.floor(up.length * random())];
    const downMs = 500 + 4500 * random();
    if (victim === undefined) continue;
    await fleet.kill(victim);
    kills++;
    restarts.push(sleep(downMs, systemClock).then(() => fleet.start(victim)));
    await system.metrics();
  }
  await Promise.all(restarts);
  return kills;
}

async function targetsAreTheWeights(system: System): Promise<boolean> {
  const { analyzers } = await system.metrics();
  return analyzers.every(({ share }, i) => Math.abs(share.target - WEIGHTS[i]!) < 1e-9);
}

Deno.test("chaos loses nothing, and the weights are back 45 s after the last restart", async () => {
  await using system = await startSystem();
  for (const [i, weight] of WEIGHTS.entries()) {
    // Two take batches, two are as a seed analyzer is.
    await system.join(`analyzer${i + 1}`, weight, { batches: i % 2 === 0 });
  }
  const sizes = seededRandom(SEED);
  const load = system.agent.startLoad({
    ratePerSecond: 1000,
    next: (number) => makePacket(`chaos-${number}`, 1 + Math.floor(20 * sizes())),
  });
  try {
    const kills = await wreak(system, seededRandom(SEED));
    const restartedMs = performance.now();
    assertGreater(kills, 8);

    await eventually(() => targetsAreTheWeights(system), {
      name: "the targets are the weights again",
      timeoutMs: RECOVERY_MS,
      everyMs: 100,
    });
    const tookMs = performance.now() - restartedMs;
    assertLessOrEqual(tookMs, RECOVERY_MS);
    console.log(
      `${kills} kills; targets back ${(tookMs / 1000).toFixed(1)} s after the last start`,
    );

    const before = system.fleet.messages();
    const sent = load.sent;
    await eventually(() => load.sent >= sent + MEASURED_PACKETS, { name: "a measured stretch" });
    const shares = sharesSince(before, system.fleet.messages());
    for (const [i, weight] of WEIGHTS.entries()) {
      assertAlmostEquals(shares.get(`analyzer${i + 1}`)!, weight, 0.01, `share of ${i + 1}`);
    }
  } finally {
    const rate = await load.stop();
    console.log(`${rate.toFixed(0)} packets/s, ${system.agent.refusals.length} refused`);
  }
  assert(system.agent.refusals.every(({ status }) => status === 503));
  await system.conservation();
});
