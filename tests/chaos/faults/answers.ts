/** Analyzers that answer badly, or late, or not at all. */

import { startProgram } from "../../support/program.ts";
import { eventually } from "../../support/eventually.ts";
import type { ProxyFault } from "../../support/fault_proxy.ts";
import { broken, checkShares } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";
import type { Answer } from "../witness.ts";

const RATE = 500;
const MIB = 1024 * 1024;
/** An unpacked body of this size in a gzip of a few KiB. */
const BOMB_BYTES = 20 * MIB;
const RSS_MARGIN_BYTES = 32 * MIB;
/** Where nothing may be asked; nothing listens there. */
const METADATA_URL = "http://169.254.169.254/latest/meta-data/";
const FEW = 50;
const SLOW_MS = 400;
const RENEWED_MS = 1500;
const STRUCK_TIMEOUT_MS = 300_000;

/**
 * Waits, load under way, until all have their weights back: it takes packets to pass a trial, and
 * the draw renews its weights every second.
 */
async function areBack(rig: Rig): Promise<void> {
  let sinceMs = performance.now();
  await eventually(async () => {
    const { analyzers } = await rig.metrics();
    const areBack = analyzers.every(({ state, share, weight }) =>
      state === "healthy" && Math.abs(share.target - weight / 10) < 1e-9
    );
    if (!areBack) sinceMs = performance.now();
    return performance.now() - sinceMs > RENEWED_MS;
  }, { name: "all have their weights again", timeoutMs: 45_000, everyMs: 100 });
}

/** Holds shares against weights over a stretch of good health. */
async function checkStretch(rig: Rig, packets: number): Promise<void> {
  await rig.driver.stop();
  await rig.settles();
  const before = rig.witnesses.map(({ taken }) => taken.size);
  // As few at a time as no lane is full of: one that is full takes no part in the draw.
  for (let sent = 0; sent < packets; sent += FEW) {
    await rig.driver.burst(FEW, { concurrency: 16 });
    await rig.settles();
  }
  const counts = rig.witnesses.map(({ id, taken }, i) => [id, taken.size - before[i]!] as const);
  const weights = rig.witnesses.map(({ id, weight }) => [id, weight] as const);
  rig.violations.push(...checkShares(new Map(counts), new Map(weights)));
}

/** One of four is at fault for a while; then shares are true again. */
async function runOneOfFour(trial: Trial, answer: Answer): Promise<Finding> {
  await using rig = await Rig.start(trial);
  const faultMs = trial.isFull ? 60_000 : 5000;
  rig.driver.start(RATE);
  const victim = rig.witnesses[Math.floor(trial.random() * 4)]!;
  const startedMs = performance.now();
  await eventually(() => rig.driver.acknowledged.size > RATE, { name: "load is under way" });
  victim.answer = answer;
  const before = rig.driver.refusals.length;
  await eventually(() => performance.now() - startedMs > faultMs, {
    name: "the time of the fault is over",
    timeoutMs: faultMs + 5000,
  });
  const refused = rig.driver.refusals.length - before;
  rig.violations.push(...broken("I6", refused > 0, `${refused} refused with three analyzers up`));
  const mendedMs = performance.now();
  await rig.mend();
  await areBack(rig);
  const recoveryMs = performance.now() - mendedMs;
  await checkStretch(rig, 1000);
  return await rig.finish({ recoveryMs, moreDuplicates: 4 * 64 * 6 });
}

/** Answers, one kind for all, given so often; then well again. */
async function runAnswers(
  trial: Trial,
  { answer, count }: { answer: () => Response; count: number },
): Promise<Finding> {
  await using rig = await Rig.start(trial);
  await rig.driver.burst(300);
  const calmBytes = rig.peakBytes;
  let given = 0;
  for (const witness of rig.witnesses) {
    witness.answer = () => {
      if (given >= count || trial.random() < 0.3) return undefined;
      given++;
      return answer();
    };
  }
  rig.driver.start(100);
  await eventually(() => given >= count, { name: "given so often", timeoutMs: STRUCK_TIMEOUT_MS });
  await rig.driver.stop();
  const mendedMs = performance.now();
  await rig.settles(60_000);
  const recoveryMs = performance.now() - mendedMs;
  const grownBytes = rig.peakBytes - calmBytes;
  const detail = `memory grew by ${Math.round(grownBytes / MIB)} MiB`;
  rig.violations.push(...broken("I4", grownBytes > RSS_MARGIN_BYTES + rig.queueBytes, detail));
  const strays = rig.witnesses.reduce((sum, witness) => sum + witness.strays, 0);
  rig.violations.push(...broken("I2", strays > 0, `${strays} redirects were followed`));
  return await rig.finish({ recoveryMs });
}

/** Connections spoilt on their way until so many were struck. */
async function runProxied(
  trial: Trial,
  { fault, count }: { fault: (trial: Trial) => ProxyFault; count: number },
): Promise<Finding> {
  await using rig = await Rig.start(trial);
  rig.driver.start(RATE);
  for (const proxy of rig.proxies) await proxy.set(fault(trial));
  const struck = () => rig.proxies.reduce((sum, proxy) => sum + proxy.struck, 0);
  await eventually(() => struck() >= count, {
    name: `${count} connections are struck`,
    timeoutMs: STRUCK_TIMEOUT_MS,
  });
  await rig.driver.stop();
  const mendedMs = performance.now();
  await rig.mend();
  await rig.settles(90_000);
  return await rig.finish({ recoveryMs: performance.now() - mendedMs });
}

/** Packets that every analyzer refuses become dead letters, and nobody is ejected for them. */
async function runPoison(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { flags: ["--retry-interval=20ms"] });
  const total = trial.isFull ? 10_000 : 2000;
  const isPoison = (id: string) => Number(id.slice(1)) % 100 === 7;
  for (const witness of rig.witnesses) {
    witness.answer = (ids) => ids.some(isPoison) ? new Response(null, { status: 500 }) : undefined;
  }
  const ejected = new Set<string>();
  const timer = setInterval(async () => {
    const { analyzers } = await rig.metrics().catch(() => ({ analyzers: [] }));
    for (const { id, state } of analyzers) if (state === "ejected") ejected.add(id);
  }, 100);
  try {
    await rig.driver.burst(total, { concurrency: 16 });
    await rig.settles(60_000);
  } finally {
    clearInterval(timer);
  }
  const dead = (await rig.deadIds()).size;
  const detail = `${dead} dead letters of ${total / 100} poisoned`;
  rig.violations.push(
    ...broken("I1", dead !== total / 100, detail),
    ...broken("I6", ejected.size > 0, `ejected for poison: ${[...ejected].join(", ")}`),
  );
  return await rig.finish();
}

/** A real process that is stopped in the middle of its work, its port open. */
async function runHang(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { weights: [4, 3, 2], flags: ["--attempt-timeout=2s"] });
  const args = ["-id=w4", "-port=0", "-host=127.0.0.1", "-weight=1", "-journal", "-advertise"];
  await using analyzer = startProgram("analyzer", [
    ...args.slice(0, -1),
    `-distributor=${rig.url}`,
  ]);
  await eventually(() => analyzer.stderr.some((line) => line.includes("listening")), {
    name: "the analyzer listens",
  });
  rig.driver.start(RATE);
  await eventually(() => analyzer.stdout.length > 20, { name: "it takes its share" });
  analyzer.signal("SIGSTOP");
  const stoppedMs = performance.now();
  const forMs = trial.isFull ? 60_000 : 6000;
  await eventually(() => performance.now() - stoppedMs > forMs, {
    name: "it has hung long enough",
    timeoutMs: forMs + 5000,
  });
  analyzer.signal("SIGCONT");
  const mendedMs = performance.now();
  const before = analyzer.stdout.length;
  await eventually(() => analyzer.stdout.length > before + 20, {
    name: "it takes its share again",
    timeoutMs: 45_000,
  });
  const recoveryMs = performance.now() - mendedMs;
  await rig.driver.stop();
  await rig.settles();
  for (const id of analyzer.stdout) {
    rig.witnesses[0]!.taken.set(id, (rig.witnesses[0]!.taken.get(id) ?? 0) + 1);
  }
  rig.violations.push(
    ...broken("I6", rig.driver.refusals.length > 0, `${rig.driver.refusals.length} refused`),
  );
  return await rig.finish({ recoveryMs, moreDuplicates: 1000 });
}

function answersFault(name: string, all: number, answer: () => Response): Fault {
  return {
    name,
    runs: { some: 1, all: 1 },
    run: (trial) => runAnswers(trial, { answer, count: trial.isFull ? all : Math.min(all, 20) }),
  };
}

function proxiedFault(name: string, all: number, fault: (trial: Trial) => ProxyFault): Fault {
  return {
    name,
    runs: { some: 1, all: 1 },
    run: (trial) => runProxied(trial, { fault, count: trial.isFull ? all : Math.min(all, 50) }),
  };
}

/** A number of bytes somewhere in the first answers on a connection. */
function somewhere({ random }: Trial): () => number {
  return () => Math.floor(random() * 600);
}

function endless(): Response {
  const chunk = new Uint8Array(16 * 1024).fill(120);
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        controller.enqueue(chunk);
      },
    }),
  );
}

let bomb: Uint8Array<ArrayBuffer> | undefined;

async function packBomb(): Promise<Uint8Array<ArrayBuffer>> {
  const zeros = new Blob([new Uint8Array(BOMB_BYTES)]).stream();
  const packed = await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
  return bomb = new Uint8Array(packed);
}

function redirect(location: string): Response {
  return new Response(null, { status: 307, headers: { location } });
}

export const ANSWER_FAULTS: readonly Fault[] = [
  {
    name: "analyzer-5xx",
    runs: { some: 1, all: 1 },
    run: (trial) => runOneOfFour(trial, () => new Response(null, { status: 503 })),
  },
  {
    name: "analyzer-slow",
    runs: { some: 1, all: 1 },
    run: (trial) =>
      runOneOfFour(trial, async () => {
        await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
        return undefined;
      }),
  },
  { name: "analyzer-hangs", needs: ["linux"], runs: { some: 1, all: 1 }, run: runHang },
  { name: "poison", runs: { some: 1, all: 1 }, run: runPoison },
  proxiedFault("reset", 1000, (trial) => ({ kind: "reset", afterBytes: somewhere(trial) })),
  proxiedFault("truncated", 50, (trial) => ({ kind: "truncate", afterBytes: somewhere(trial) })),
  proxiedFault(
    "half-closed",
    50,
    (trial) => ({ kind: "half-close", afterBytes: somewhere(trial) }),
  ),
  proxiedFault("garbage", 50, () => ({ kind: "garbage" })),
  answersFault("endless-answer", 50, endless),
  {
    name: "gzip-bomb",
    runs: { some: 1, all: 1 },
    run: async (trial) => {
      const body = bomb ?? await packBomb();
      const headers = { "content-encoding": "gzip", "content-type": "application/json" };
      const answer = () => new Response(body, { headers });
      return await runAnswers(trial, { answer, count: trial.isFull ? 50 : 20 });
    },
  },
  answersFault(
    "wrong-type",
    20,
    () => new Response("<html>hello", { headers: { "content-type": "text/html" }, status: 500 }),
  ),
  answersFault("redirect-near", 10, () => redirect("/elsewhere")),
  answersFault("redirect-metadata", 10, () => redirect(METADATA_URL)),
];
