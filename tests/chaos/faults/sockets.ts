/** Clients that hold connections and say little or nothing. */

import { eventually } from "../../support/eventually.ts";
import { openDescriptors } from "../../support/proc.ts";
import { broken } from "../oracle.ts";
import { Rig } from "../rig.ts";
import type { Fault, Finding, Trial } from "../trial.ts";

const IDLE = 10_000;
const STARVED_DESCRIPTORS = 256;
const STARVING = 400;
const SERVE_MS = 2000;
/** A body gets 15 s; they do not all begin at once. */
const BODY_MS = 18_000;
const encoder = new TextEncoder();

/** As many connections as are let in. */
async function connectAll(url: string, count: number): Promise<Deno.Conn[]> {
  const { hostname, port } = new URL(url);
  const connections: Deno.Conn[] = [];
  for (let i = 0; i < count; i++) {
    try {
      connections.push(await Deno.connect({ hostname, port: Number(port) }));
    } catch {
      // One that is not let in is what some of these faults are about.
    }
  }
  return connections;
}

function closeAll(connections: Iterable<Deno.Conn>): void {
  for (const connection of connections) connection.close();
}

/** Waits until a newcomer is served and a packet accepted; resolves to how long that took. */
async function serves(rig: Rig): Promise<number> {
  const startedMs = performance.now();
  await eventually(async () => (await rig.get("/health")).ok && await rig.driver.post() === 202, {
    name: "it serves again",
  });
  return performance.now() - startedMs;
}

async function runIdle(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial);
  const count = trial.isFull ? IDLE : IDLE / 10;
  rig.driver.start(100);
  const connections = await connectAll(rig.url, count);
  const missing = count - connections.length;
  await rig.driver.burst(200, { concurrency: 8 });
  closeAll(connections);
  const recoveryMs = await serves(rig);
  const { refusals, unknown } = rig.driver;
  rig.violations.push(
    ...broken("I6", missing > 0, `${missing} connections of ${count} not let in`),
    ...broken("I6", refusals.length + unknown.size > 0, "packets not accepted meanwhile"),
  );
  return await rig.finish({ recoveryMs });
}

async function runStarved(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { descriptors: STARVED_DESCRIPTORS, watch: false });
  rig.driver.start(100);
  let recoveryMs = 0;
  for (let round = 0; round < (trial.isFull ? 5 : 2); round++) {
    const connections: Deno.Conn[] = [];
    await eventually(async () => {
      // While the port is being opened again nobody is let in.
      connections.push(...await connectAll(rig.url, STARVING - connections.length));
      return openDescriptors(rig.program!.pid) >= STARVED_DESCRIPTORS - 1;
    }, { name: "descriptors have run out" });
    closeAll(connections);
    recoveryMs = Math.max(recoveryMs, await serves(rig));
  }
  const detail = `served only ${Math.round(recoveryMs)} ms after the release`;
  rig.violations.push(...broken("I6", recoveryMs > SERVE_MS, detail));
  return await rig.finish({ recoveryMs });
}

/** Says a byte at a time; returns how to end it. */
function drip(connections: readonly Deno.Conn[], text: string): () => void {
  const bytes = encoder.encode(text);
  let at = 0;
  const open = new Set(connections);
  const timer = setInterval(() => {
    const byte = bytes.subarray(at, at + 1);
    at = (at + 1) % bytes.length;
    for (const connection of open) {
      connection.write(byte).catch(() => open.delete(connection));
    }
  }, 200);
  return () => clearInterval(timer);
}

/**
 * Many that send headers or bodies drop by drop: everybody else is served as ever. The runtime
 * gives headers no deadline, so that these connections are not required to be cut.
 */
async function runSlow(trial: Trial, { text, count }: { text: string; count: number }) {
  await using rig = await Rig.start(trial);
  const connections = await connectAll(rig.url, trial.isFull ? count : count / 10);
  const stop = drip(connections, text);
  try {
    rig.driver.start(200);
    const startedMs = performance.now();
    const forMs = trial.isFull ? 30_000 : 4000;
    await eventually(() => performance.now() - startedMs > forMs, {
      name: "they have dripped long enough",
      timeoutMs: forMs + 5000,
    });
  } finally {
    stop();
    closeAll(connections);
  }
  const { refusals, unknown } = rig.driver;
  const failed = refusals.length + unknown.size;
  rig.violations.push(...broken("I6", failed > 0, `${failed} packets of others not accepted`));
  return await rig.finish({ recoveryMs: await serves(rig) });
}

/** Bodies that announce much, send little, and wait: they are answered in time, or cut. */
async function runHalfOpen(trial: Trial): Promise<Finding> {
  await using rig = await Rig.start(trial, { queueBytes: 32 * 1024 * 1024 });
  const connections = await connectAll(rig.url, trial.isFull ? 1000 : 100);
  const head = `POST /api/v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{"log_`;
  const sent = connections.map((connection) => connection.write(encoder.encode(head)));
  await Promise.allSettled(sent);
  const startedMs = performance.now();
  let released = 0;
  const reading = connections.map(async (connection) => {
    // An answer, an end, or a reset; all are what it takes.
    await connection.read(new Uint8Array(4096)).catch(() => undefined);
    released++;
  });
  await eventually(() => released === connections.length, {
    name: "all are released",
    timeoutMs: BODY_MS,
    everyMs: 100,
  }).catch(() => undefined);
  const recoveryMs = performance.now() - startedMs;
  const left = connections.length - released;
  closeAll(connections);
  await Promise.all(reading);
  rig.violations.push(
    ...broken("I6", left > 0, `${left} of ${connections.length} half-sent bodies held on to`),
  );
  await rig.driver.burst(200);
  return await rig.finish({ recoveryMs });
}

const SLOW_HEAD =
  "POST /api/v1/logs HTTP/1.1\r\nhost: x\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

export const SOCKET_FAULTS: readonly Fault[] = [
  { name: "idle-connections", needs: ["descriptors"], runs: { some: 1, all: 1 }, run: runIdle },
  { name: "descriptors-run-out", needs: ["linux"], runs: { some: 1, all: 1 }, run: runStarved },
  {
    name: "slowloris",
    runs: { some: 1, all: 1 },
    run: (trial) => runSlow(trial, { text: SLOW_HEAD, count: 2000 }),
  },
  {
    name: "half-open",
    runs: { some: 1, all: 1 },
    run: (trial) => runSlow(trial, { text: "G", count: 1000 }),
  },
  { name: "half-sent-bodies", runs: { some: 1, all: 1 }, run: runHalfOpen },
];
