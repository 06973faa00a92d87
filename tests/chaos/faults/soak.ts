/** All kinds of faults in turn for minutes, a quarter of the time none: it stays as it was. */

import { eventually } from "../../support/eventually.ts";
import type { ProxyFault } from "../../support/fault_proxy.ts";
import { residentBytes } from "../../support/proc.ts";
import { broken, slopeOf } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const RATE = 500;
const TURN_MS = 5000;
const SAMPLE_MS = 1000;
/** Memory has found its level by then. */
const WARM_UP = 0.4;
const MAX_SLOPE_BYTES_PER_MINUTE = 4 * 1024 * 1024;
const BATCH = 256;

/** One turn in four is quiet. */
function drawFault({ random }: Trial): ProxyFault {
  if (random() < 0.25) return { kind: "none" };
  const afterBytes = () => Math.floor(random() * 2000);
  const faults: readonly ProxyFault[] = [
    { kind: "refuse" },
    { kind: "silent" },
    { kind: "delay", ms: 300 * random() },
    { kind: "throttle", bytesPerSecond: 2000 },
    { kind: "reset", afterBytes },
    { kind: "truncate", afterBytes },
    { kind: "half-close", afterBytes },
    { kind: "garbage" },
  ];
  return faults[Math.floor(random() * faults.length)]!;
}

/** A turn: one analyzer or two at fault; with a disk, sometimes the distributor itself is killed. */
async function takeTurn(rig: Rig, trial: Trial): Promise<void> {
  const { random } = trial;
  await rig.mend();
  const fault = drawFault(trial);
  for (let i = 0; i < 1 + Math.floor(2 * random()); i++) {
    await rig.proxies[Math.floor(random() * rig.proxies.length)]!.set(fault);
  }
  if (trial.durability !== "disk" || random() >= 0.1) return;
  await rig.kill();
  await rig.launch();
}

async function runSoak(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, {
    flags: ["--attempt-timeout=2s", "--max-retries=20", "--queue-size=50000"],
  });
  const minutes = trial.isFull ? 10 : 0.75;
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(residentBytes(rig.program!.pid)), SAMPLE_MS);
  rig.driver.start(RATE);
  const startedMs = performance.now();
  try {
    for (let turn = 1; performance.now() - startedMs < minutes * 60_000; turn++) {
      await takeTurn(rig, trial);
      const untilMs = turn * TURN_MS;
      await eventually(() => performance.now() - startedMs >= untilMs, {
        name: "the turn is over",
        timeoutMs: 2 * TURN_MS,
      });
    }
  } finally {
    clearInterval(timer);
  }
  const settled = samples.slice(Math.floor(samples.length * WARM_UP));
  const perMinute = slopeOf(settled) * 60_000 / SAMPLE_MS;
  const detail = `memory grows by ${(perMinute / 1024 / 1024).toFixed(1)} MiB a minute`;
  // Less than minutes of it say nothing about a slope.
  const isSteep = trial.isFull && perMinute > MAX_SLOPE_BYTES_PER_MINUTE;
  rig.violations.push(...broken("I4", isSteep, detail));
  const mendedMs = performance.now();
  await rig.driver.stop();
  await rig.mend();
  await rig.settles(90_000);
  const recoveryMs = performance.now() - mendedMs;
  return await rig.finish({ recoveryMs, moreDuplicates: BATCH * rig.proxies.length });
}

export const SOAK_FAULTS: readonly Fault[] = [
  { name: "soak", runs: { some: 1, all: 1 }, run: runSoak },
];
