/** A disk that fails, fills up, or gives back other bytes than it was given. */

import { eventually } from "../../support/eventually.ts";
import { SmallDisk } from "../../support/small_disk.ts";
import { type Call, type Injection, parseRecord, straceWords } from "../../support/strace.ts";
import { broken } from "../oracle.ts";
import { Rig } from "../rig.ts";
import { makeDataDir } from "../rig_options.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const MIB = 1024 * 1024;
const DISK_MEBIBYTES = 64;
const RESUME_MS = 10_000;
const SYNCED = 100;
/** Calls of one thread until it listens on a new folder. */
const STARTING_SYNCS = 8;
/** What holds packets, among the files of a data folder. */
const DATABASE = /\.(db|sqlite)(-wal|-journal)?>/;
const ANSWER_202 = "HTTP/1.1 202";
const WRITES = "write,writev,sendto,sendmsg";

/** A record of system calls beside the data, removed with it. */
function recordPath(rig: Rig): string {
  return `${rig.dataDir}/strace.txt`;
}

/** Each 202 of a hundred is written after an fsync of the log that had not yet served another. */
async function runOrder(trial: Trial): Promise<Finding> {
  // With nobody to deliver to there is nothing to wait for at the end.
  await using rig = await Rig.build(trial, { weights: [], flags: ["--drain-timeout=0"] });
  const record = recordPath(rig);
  await rig.launch({ wrap: straceWords(`fsync,fdatasync,${WRITES}`, { record }) });
  await rig.driver.burst(SYNCED, { concurrency: 1 });
  const { code } = await rig.terminate();
  const calls = parseRecord(await Deno.readTextFile(record));
  let isSynced = false;
  let answered = 0;
  let early = 0;
  for (const { name, text, result } of calls) {
    if (name.endsWith("sync") && result === 0 && text.includes("-wal")) isSynced = true;
    if (!text.includes(ANSWER_202)) continue;
    answered++;
    if (!isSynced) early++;
    isSynced = false;
  }
  rig.violations.push(
    ...broken("I1", early > 0, `${early} of ${answered} answers 202 before their fsync`),
    ...broken("I6", answered !== SYNCED, `${answered} answers 202 seen of ${SYNCED}`),
    ...broken("I6", code !== 0, `exit code ${code} after SIGTERM`),
  );
  return await deliverRest(rig);
}

/** Which call is to fail: any, or each in turn where all are wanted. */
function drawCall({ seed, random, isFull }: Trial, count: number): number {
  return 1 + (isFull ? seed % count : Math.floor(random() * count));
}

/** The N-th fsync fails: its group gets no 202, the process ends by itself, and replays. */
async function runSyncFault(trial: Trial): Promise<Finding> {
  const at = drawCall(trial, 50);
  return await runInjected(trial, { calls: "fsync,fdatasync", error: "EIO", at });
}

/** One of the first fsyncs fails, by which the database and its log come to be. */
async function runStartSyncFault(trial: Trial): Promise<Finding> {
  const at = 1 + trial.seed % STARTING_SYNCS;
  const inject: Injection = { calls: "fsync,fdatasync", error: "EIO", at };
  return await runInjected(trial, inject, { isAtStart: true });
}

/** The N-th write into a file fails for want of room. */
async function runWriteFault(trial: Trial): Promise<Finding> {
  const at = drawCall(trial, 150);
  return await runInjected(trial, { calls: "pwrite64", error: "ENOSPC", at });
}

/**
 * Sends one packet after the other with a call that fails: whoever met it must not be told 202.
 * It may also fail while the distributor starts, which then ends with a line that says so.
 */
async function runInjected(
  trial: Trial,
  inject: Injection,
  { isAtStart = false }: { isAtStart?: boolean } = {},
): Promise<Finding> {
  await using rig = await Rig.build(trial, { weights: [] });
  const record = recordPath(rig);
  const launching = rig.launch({ wrap: straceWords(WRITES, { record, inject }) });
  const program = rig.program!;
  let hasEnded = false;
  void program.exits().then(() => hasEnded = true);
  rig.expectEnd();
  const started = await Promise.race([
    launching.then(() => true, () => false),
    program.exits().then(() => false),
  ]);
  // What is raced against may still fail later, of itself.
  launching.catch(() => undefined);
  rig.expectEnd();
  if (started) await rig.driver.burst(100, { concurrency: 1, until: () => hasEnded });
  const isFatal = ({ isInjected, text }: Call) =>
    isInjected && inject.error === "EIO" && DATABASE.test(text);
  const readCalls = async () => parseRecord(await Deno.readTextFile(record));
  if ((await readCalls()).some(isFatal)) {
    await eventually(() => hasEnded, { name: "it has ended" }).catch(() => undefined);
  }
  if (!hasEnded) await rig.kill();
  const { code } = await program.exits();
  const calls = await readCalls();
  const fatal = calls.findIndex(isFatal);
  const hit = calls.findIndex((call) => call.isInjected);
  const told = countTold(calls, { fatal, hit });
  rig.violations.push(
    ...broken("I1", told > 0, `${told} answered 202 after the fault`),
    ...broken("I6", isAtStart && hit === -1, "no call was made to fail"),
    ...broken("I6", fatal !== -1 && code === 0, "exit code 0 after an fsync error"),
    ...broken("I6", fatal !== -1 && code === 137, "it went on after an fsync error"),
    ...broken("I6", !started && code === 0, "exit code 0 for a start that failed"),
  );
  return await deliverRest(rig);
}

/** Answers 202 after a fault: all of them, or where it may recover, the one that met it. */
function countTold(
  calls: readonly Call[],
  { fatal, hit }: { fatal: number; hit: number },
): number {
  if (fatal !== -1) {
    return calls.slice(fatal).filter(({ text }) => text.includes(ANSWER_202)).length;
  }
  if (hit === -1 || !DATABASE.test(calls[hit]!.text)) return 0;
  const next = calls.slice(hit).find(({ text }) => text.includes("HTTP/1.1 "));
  return next?.text.includes(ANSWER_202) ? 1 : 0;
}

/** Starts it on the same folder, sound again, with an analyzer: what was acknowledged comes out. */
async function deliverRest(rig: Rig): Promise<Finding> {
  const recoveryMs = await rig.launch();
  await rig.join({ weight: 1 });
  return await rig.finish({ recoveryMs, moreDuplicates: 1000 });
}

/** The disk fills to the last byte under load, and is freed. */
async function runFull(trial: Trial): Promise<Finding> {
  const dataDir = await makeDataDir();
  try {
    await using disk = await SmallDisk.mount(dataDir, DISK_MEBIBYTES);
    await using rig = await Rig.start(trial, { dataDir });
    rig.driver.start(500);
    await eventually(() => rig.driver.acknowledged.size > 500, { name: "load is under way" });
    for (const proxy of rig.proxies) await proxy.set({ kind: "refuse" });
    disk.fill();
    const refused = () => rig.driver.refusals.filter(({ status }) => status === 503).length;
    await eventually(() => refused() > 100, { name: "it says 503", timeoutMs: 60_000 });
    // What was let in gets out, though settling it takes room too.
    await rig.mend();
    await rig.settles(60_000);
    if (trial.random() < 0.5) await restartFull(rig);
    disk.free();
    const freedMs = performance.now();
    await eventually(() => rig.driver.lastAckMs > freedMs, {
      name: "ingest resumes",
      timeoutMs: 60_000,
    });
    const recoveryMs = rig.driver.lastAckMs - freedMs;
    const detail = `a 202 only ${Math.round(recoveryMs)} ms after there was room`;
    rig.violations.push(...broken("I6", recoveryMs > RESUME_MS, detail));
    return await rig.finish({ recoveryMs, settleMs: 60_000, noDead: true });
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** It can also be started while not a byte is free. */
async function restartFull(rig: Rig): Promise<void> {
  await rig.kill();
  await rig.launch({ answers: "/livez" });
}

type Damage = (bytes: Uint8Array, random: Trial["random"]) => Uint8Array;

const cut: Damage = (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length));

const flip: Damage = (bytes, random) => {
  const flipped = bytes.slice();
  flipped[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
  return flipped;
};

/** Starts on damaged copies of the log of a killed process: each replays a prefix of it. */
async function runDamaged(
  trial: Trial,
  { damage, copies }: { damage: Damage; copies: number },
): Promise<Finding> {
  await using rig = await Rig.start(trial, { weights: [] });
  await rig.driver.burst(200, { concurrency: 1 });
  await rig.kill();
  const sound = await readFolder(rig.dataDir);
  const order = [...rig.driver.acknowledged];
  const started: number[] = [];
  for (let i = 0; i < copies; i++) {
    await using copy = await Rig.build(trial, { weights: [1] });
    for (const [name, bytes] of sound) {
      const isLog = name.endsWith("-wal");
      const written = isLog ? damage(bytes, trial.random) : bytes;
      await Deno.writeFile(`${copy.dataDir}/${name}`, written);
    }
    started.push(await copy.launch());
    await copy.settles();
    const ids = new Set(copy.witnesses[0]!.taken.keys());
    const isPrefix = order.slice(0, ids.size).every((id) => ids.has(id));
    const detail = `copy ${i}: ${ids.size} replayed, which are not the first of ${order.length}`;
    rig.violations.push(...broken("I2", !isPrefix, detail), ...copy.violations);
  }
  const recoveryMs = await rig.launch();
  await rig.join({ weight: 1 });
  return await rig.finish({ recoveryMs: Math.max(recoveryMs, ...started) });
}

/** The files of a folder by name; locks and sockets are not among them. */
async function readFolder(path: string): Promise<[name: string, bytes: Uint8Array][]> {
  const files: [string, Uint8Array][] = [];
  for await (const { name, isFile } of Deno.readDir(path)) {
    const { size } = await Deno.stat(`${path}/${name}`);
    // The ballast is only there to be removed.
    const isBallast = size >= MIB && !/\.(db|sqlite)(-wal)?$/.test(name);
    const isShared = name.endsWith("-shm");
    if (isFile && !isBallast && !isShared) {
      files.push([name, await Deno.readFile(`${path}/${name}`)]);
    }
  }
  return files;
}

export const DISK_FAULTS: readonly Fault[] = [
  { name: "sync-order", needs: ["disk", "strace"], runs: { some: 1, all: 1 }, run: runOrder },
  { name: "fsync-eio", needs: ["disk", "strace"], runs: { some: 3, all: 50 }, run: runSyncFault },
  {
    name: "fsync-eio-at-start",
    needs: ["disk", "strace"],
    runs: { some: 8, all: 16 },
    run: runStartSyncFault,
  },
  {
    name: "write-enospc",
    needs: ["disk", "strace"],
    runs: { some: 3, all: 150 },
    run: runWriteFault,
  },
  {
    name: "disk-full",
    needs: ["disk", "root", "tmpfs"],
    runs: { some: 1, all: 4 },
    run: runFull,
  },
  {
    name: "wal-cut",
    needs: ["disk"],
    runs: { some: 1, all: 1 },
    run: (trial) => runDamaged(trial, { damage: cut, copies: trial.isFull ? 500 : 8 }),
  },
  {
    name: "wal-flipped",
    needs: ["disk"],
    runs: { some: 1, all: 1 },
    run: (trial) => runDamaged(trial, { damage: flip, copies: trial.isFull ? 200 : 4 }),
  },
];
