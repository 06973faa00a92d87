/** More than it can take, and orders to end in the middle of it. */

import { eventually } from "../../support/eventually.ts";
import { broken } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const MIB = 1024 * 1024;
const EXIT_MS = 25_000;
const REFUSE_MS = 100;
/** Others may use the machine: than this many times a bare answer, a refusal may not be slower. */
const SLOWER = 4;
/** More than any bound in these trials lets in. */
const FILLING = 100_000;
const BACKLOG = 1_000_000;

/** A connection that has sent the beginning of a packet and says no more. */
async function openHalfSent(url: string): Promise<Deno.Conn> {
  const { hostname, port, host } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const head = `POST /api/v1/logs HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`;
  const bytes = new TextEncoder().encode(`${head}content-length: 1000\r\n\r\n{"log_me`);
  await connection.write(bytes);
  return connection;
}

async function runTerminate(trial: Trial, halfSent: number): Promise<Finding> {
  await using rig = await Rig.start(trial);
  rig.driver.start(1000);
  const count = 200 + Math.floor(1500 * trial.random());
  await eventually(() => rig.driver.acknowledged.size > count, { name: "load is under way" });
  const open: Deno.Conn[] = [];
  for (let i = 0; i < halfSent; i++) open.push(await openHalfSent(rig.url));
  const { code, tookMs } = await rig.terminate();
  for (const connection of open) connection.close();
  await rig.driver.stop();
  rig.violations.push(
    ...broken("I6", code !== 0, `exit code ${code} after SIGTERM`),
    ...broken("I6", tookMs > EXIT_MS, `${Math.round(tookMs)} ms from SIGTERM to the end`),
  );
  if (trial.durability === "disk") await rig.launch();
  const isOver = trial.durability !== "disk";
  return await rig.finish({ recoveryMs: tookMs, isOver, noDead: true });
}

async function timeOf(ask: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await ask();
  return performance.now() - startedMs;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Filled up, then twice what the analyzers take for a minute: refused at once, and bounded. */
async function runQueueFull(trial: Trial): Promise<Finding> {
  const flags = ["--queue-size=1000"];
  if (trial.durability === "disk") flags.push("--spool-max-bytes=16MiB");
  await using rig = await Rig.start(trial, { flags, queueBytes: 8 * MIB });
  // Four requests of sixteen packets at a time and analyzer: 256 packets a second altogether.
  for (const proxy of rig.proxies) await proxy.set({ kind: "delay", ms: 1000 });
  const { refusals } = rig.driver;
  await rig.driver.burst(FILLING, { concurrency: 32, until: () => refusals.length > 0 });
  const startedMs = performance.now();
  const forMs = trial.isFull ? 60_000 : 8000;
  rig.driver.start(600);
  const bare: number[] = [];
  const times: number[] = [];
  while (performance.now() - startedMs < forMs) {
    bare.push(await timeOf(() => rig.get("/livez")));
    // Not of the stream's: when it is late it sends many at once, which then wait for each other.
    const before = refusals.length;
    const tookMs = await timeOf(() => rig.driver.post());
    if (refusals.length > before) times.push(tookMs);
  }
  await rig.driver.stop();
  const slowMs = medianOf(times);
  const limitMs = Math.max(REFUSE_MS, SLOWER * medianOf(bare));
  rig.violations.push(
    ...broken("I6", times.length === 0, "nothing was refused"),
    ...broken("I6", refusals.some(({ status }) => status !== 503), "refused with another status"),
    ...broken(
      "I6",
      slowMs > limitMs,
      `refused only after ${Math.round(slowMs)} ms (half of them)`,
    ),
  );
  const mendedMs = performance.now();
  await rig.mend();
  await rig.settles(60_000);
  return await rig.finish({ recoveryMs: performance.now() - mendedMs, noDead: true });
}

/** A million packets while nobody takes them, in memory as small as promised; then they go out. */
async function runBacklog(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { queueBytes: 64 * MIB });
  for (const proxy of rig.proxies) await proxy.set({ kind: "refuse" });
  await rig.driver.burst(trial.isFull ? BACKLOG : BACKLOG / 100, { concurrency: 64 });
  const refused = rig.driver.refusals.length;
  rig.violations.push(...broken("I6", refused > 0, `${refused} refused of an outage's packets`));
  const mendedMs = performance.now();
  await rig.mend();
  await rig.settles(trial.isFull ? 900_000 : 60_000);
  return await rig.finish({ recoveryMs: performance.now() - mendedMs, noDead: true });
}

export const LOAD_FAULTS: readonly Fault[] = [
  { name: "sigterm", runs: { some: 2, all: 20 }, run: (trial) => runTerminate(trial, 0) },
  {
    name: "sigterm-half-sent",
    runs: { some: 1, all: 20 },
    run: (trial) => runTerminate(trial, 5),
  },
  { name: "queue-full", runs: { some: 1, all: 1 }, run: runQueueFull },
  { name: "backlog", needs: ["disk"], runs: { some: 1, all: 1 }, run: runBacklog },
];
