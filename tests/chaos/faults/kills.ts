/** kill -9, at any moment and at each point where a packet changes hands. */

import { eventually } from "../../support/eventually.ts";
import { broken } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const RATE = 1000;
const READY_MS = 3000;
const SLOWER = 4;
/** The longest that a named point may take to be passed under load. */
const REACH_MS = 30_000;
const READY_BACKLOG = 100_000;

type Point =
  | "after_insert"
  | "after_commit"
  | "before_202"
  | "before_settle"
  | "during_dead_letter_move"
  | "checkpoint";

/**
 * Starts it again after its end, by when it must be ready. Others may use the machine: it may also
 * take some times as long as the first start, with nothing to replay.
 */
async function relaunch(rig: Rig): Promise<number> {
  const tookMs = await rig.launch();
  const limitMs = Math.max(READY_MS, SLOWER * rig.firstLaunchMs);
  const detail = `ready ${Math.round(tookMs)} ms after the start, not ${Math.round(limitMs)}`;
  rig.violations.push(...broken("I6", tookMs > limitMs, detail));
  return tookMs;
}

/** Starts it again: all that was acknowledged is delivered. */
async function restart(rig: Rig): Promise<Finding> {
  return await rig.finish({ recoveryMs: await relaunch(rig), settleMs: 60_000 });
}

async function runRandomKill(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial);
  rig.driver.start(RATE);
  const afterMs = 300 + 2000 * trial.random();
  const startedMs = performance.now();
  await eventually(
    () => rig.driver.acknowledged.size > 0 && performance.now() - startedMs >= afterMs,
    { name: "the moment", everyMs: 1 },
  );
  await rig.kill();
  await rig.driver.stop();
  return await restart(rig);
}

/** Some packets are refused by all analyzers, where the point is on their way. */
function poison(rig: Rig): void {
  for (const witness of rig.witnesses) {
    witness.answer = (ids) =>
      ids.some((id) => Number(id.slice(1)) % 10 === 3)
        ? new Response(null, { status: 400 })
        : undefined;
  }
}

async function runPointKill(trial: Trial, point: Point): Promise<Finding> {
  // A small spool writes its log back often.
  const flags = point === "checkpoint" ? ["--spool-max-bytes=16MiB"] : [];
  await using rig = await Rig.build(trial, { flags });
  const pass = 1 + Math.floor(trial.random() * (point === "checkpoint" ? 3 : 30));
  const tell = point === "checkpoint" ? ":tell" : "";
  await rig.launch({ env: { DISTRIBUTOR_FAILPOINT: `${point}:${pass}${tell}` } });
  rig.expectEnd();
  const { program } = rig;
  if (point === "during_dead_letter_move") poison(rig);
  rig.driver.start(point === "checkpoint" ? 2 * RATE : RATE);
  const isReached = () => program!.stderr.includes(`failpoint ${point}`);
  const fault = await eventually(isReached, { name: point, timeoutMs: REACH_MS, everyMs: 1 })
    .then(() => undefined, (error) => error.message);
  await rig.kill();
  await rig.driver.stop();
  rig.violations.push(...broken("I6", fault !== undefined, `the point was not reached: ${fault}`));
  return await restart(rig);
}

/** Killed again and again while it starts with a backlog to replay. */
async function runStartKills(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial);
  for (const proxy of rig.proxies) await proxy.set({ kind: "refuse" });
  await rig.driver.burst(trial.isFull ? 5000 : 500);
  await rig.kill();
  for (let i = 0; i < 5; i++) {
    rig.spawn();
    const startedMs = performance.now();
    const afterMs = 600 * trial.random();
    await eventually(() => performance.now() - startedMs >= afterMs, {
      name: "the moment",
      everyMs: 1,
    });
    await rig.kill();
  }
  await rig.mend();
  return await restart(rig);
}

/** Ready in time however much waits to be replayed. */
async function runBigRestart(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial);
  for (const proxy of rig.proxies) await proxy.set({ kind: "refuse" });
  await rig.driver.burst(trial.isFull ? READY_BACKLOG : 4000);
  await rig.kill();
  const recoveryMs = await relaunch(rig);
  return await rig.finish({ recoveryMs, settleMs: 120_000, noDead: true });
}

function pointFault(point: Point): Fault {
  return {
    name: `kill-${point.replaceAll("_", "-")}`,
    needs: ["disk"],
    runs: { some: 2, all: 20 },
    run: (trial) => runPointKill(trial, point),
  };
}

export const KILL_FAULTS: readonly Fault[] = [
  { name: "kill-random", needs: ["disk"], runs: { some: 5, all: 50 }, run: runRandomKill },
  ...([
    "after_insert",
    "after_commit",
    "before_202",
    "before_settle",
    "during_dead_letter_move",
    "checkpoint",
  ] as const).map(pointFault),
  { name: "kill-during-start", needs: ["disk"], runs: { some: 1, all: 4 }, run: runStartKills },
  { name: "restart-with-backlog", needs: ["disk"], runs: { some: 1, all: 1 }, run: runBigRestart },
];
