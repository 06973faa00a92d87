/** All analyzers away, or coming and going. */

import { eventually } from "../../support/eventually.ts";
import type { ProxyFault } from "../../support/fault_proxy.ts";
import { broken } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const RATE = 500;
const FLAP_MS = 3000;

async function pass(ms: number, name: string): Promise<void> {
  const startedMs = performance.now();
  const isOver = () => performance.now() - startedMs >= ms;
  await eventually(isOver, { name, timeoutMs: ms + 5000 });
}

/** Nobody answers for two minutes: all is kept, nothing is given up. */
async function runAllDown(trial: Trial, fault: ProxyFault): Promise<Finding> {
  const flags = ["--queue-size=100000", "--attempt-timeout=2s"];
  await using rig = await Rig.start(trial, { flags, queueBytes: 256 * 1024 * 1024 });
  rig.driver.start(RATE);
  await eventually(() => rig.driver.acknowledged.size > RATE, { name: "load is under way" });
  for (const proxy of rig.proxies) await proxy.set(fault);
  await pass(trial.isFull ? 120_000 : 6000, "the outage is over");
  const refused = rig.driver.refusals.length;
  rig.violations.push(...broken("I6", refused > 0, `${refused} refused though there was room`));
  await rig.mend();
  const mendedMs = performance.now();
  await rig.driver.stop();
  await rig.settles(90_000);
  const recoveryMs = performance.now() - mendedMs;
  const detail = `${Math.round(recoveryMs)} ms until the backlog was gone`;
  rig.violations.push(...broken("I5", recoveryMs > 45_000, detail));
  return await rig.finish({ recoveryMs, noDead: true });
}

/** One is up for three seconds and away for three, again and again: it is away ever longer. */
async function runFlapping(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { slowHealth: true });
  const proxy = rig.proxies[0]!;
  rig.driver.start(RATE);
  const startedMs = performance.now();
  const forMs = trial.isFull ? 600_000 : 24_000;
  while (performance.now() - startedMs < forMs) {
    await proxy.set({ kind: "refuse" });
    await pass(FLAP_MS, "down");
    await proxy.set({ kind: "none" });
    await pass(FLAP_MS, "up");
  }
  const { refusals } = rig.driver;
  const ejections = rig.program!.events().filter(({ event, id }) =>
    event === "analyzer ejected" && id === "w1"
  );
  const turns = forMs / (2 * FLAP_MS);
  const detail = `${ejections.length} ejections in ${turns} turns`;
  rig.violations.push(
    ...broken("I6", refusals.length > 0, `${refusals.length} refused`),
    // Were each as short as the first, it would be out and back in every turn.
    ...broken("I6", ejections.length === 0 || ejections.length >= turns, detail),
  );
  const mendedMs = performance.now();
  await rig.driver.stop();
  await rig.settles();
  return await rig.finish({ recoveryMs: performance.now() - mendedMs, noDead: true });
}

export const OUTAGE_FAULTS: readonly Fault[] = [
  {
    name: "all-refused",
    runs: { some: 1, all: 1 },
    run: (trial) => runAllDown(trial, { kind: "refuse" }),
  },
  {
    name: "all-blackhole",
    needs: ["linux"],
    runs: { some: 1, all: 1 },
    run: (trial) => runAllDown(trial, { kind: "blackhole" }),
  },
  {
    name: "all-silent",
    runs: { some: 1, all: 1 },
    run: (trial) => runAllDown(trial, { kind: "silent" }),
  },
  { name: "flapping", runs: { some: 1, all: 1 }, run: runFlapping },
];
