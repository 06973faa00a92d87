/**
 * Large numbers: analyzers, open connections, bytes in a packet, packets in the queue.
 *
 * Each is measured beside a small one, on the same sink, so that a cliff would show.
 */

import { sleep, systemClock } from "../src/clock.ts";
import type { Contender } from "./contenders.ts";
import { openIdle } from "./idle_connections.ts";
import { readOpenFiles } from "./machine.ts";
import { Pace } from "./pace.ts";
import { makePackets } from "./packets.ts";
import { readCpuSeconds, readPeakRssBytes, readRssBytes } from "./process_usage.ts";
import { spreadOf } from "./rounds.ts";
import { type Field, makeRun, type RunResult } from "./run.ts";
import { formatCount, formatMib } from "./table.ts";
import { loadAmmunition } from "./throughput.ts";
import { openViewers } from "./viewers.ts";
import { prepareWrk, runWrk } from "./wrk.ts";

const MANY_ANALYZERS = 1000;
const IDLE_CONNECTIONS = 10_000;
/** Of those that may be open, for all else. */
const SPARE_FILES = 1000;
const VIEWERS = 100;
/** What viewers cost is little: in pairs, or noise would hide it. */
const VIEWER_PAIRS = 6;
const LARGE_MESSAGES = 15_000;
const MANY_PACKETS = 1_000_000;
/** Rates are of the first and of the last so many packets. */
const EDGE_PACKETS = 200_000;
const REST_SECONDS = 6;
const RUNS = 3;
const RUN_SECONDS = 2;
const FILL_SECONDS = 2;
const FILL_TIMEOUT_MS = 300_000;

/** One thing, measured with few and with many. */
export interface ScaleLine {
  readonly what: string;
  readonly few: string;
  readonly many: string;
}

export interface ScaleResult {
  readonly lines: readonly ScaleLine[];
  readonly faults: readonly string[];
}

export interface ScaleGround {
  /** Starts a distributor that knows no analyzers. */
  readonly start: (flags: readonly string[]) => Promise<Contender>;
  /** With a sink of many analyzers. */
  readonly field: Field;
  readonly folder: string;
  readonly note: (line: string) => void;
}

/** How many analyzers the sink must have. */
export const SCALE_ANALYZERS = MANY_ANALYZERS;

export async function measureScale(ground: ScaleGround): Promise<ScaleResult> {
  const lines: ScaleLine[] = [];
  const faults: string[] = [];
  const parts = [
    measureAnalyzers,
    measureConnections,
    measureViewers,
    measureLarge,
    measureQueue,
  ];
  for (const part of parts) {
    if (ground.field.signal.aborted) break;
    ground.note(`scale: ${part.name.replace("measure", "").toLowerCase()}`);
    const result = await part(ground);
    lines.push(...result.lines);
    faults.push(...result.faults.map((fault) => `scale, ${part.name}: ${fault}`));
  }
  return { lines, faults };
}

async function measureAnalyzers({ start, field, folder }: ScaleGround): Promise<ScaleResult> {
  const measure = async (count: number) => {
    // The more analyzers, the fewer packets wait for each at a time: batches would differ.
    const contender = { ...await start([]), kind: "single" as const };
    const { pid } = contender.child;
    const registrations = await register(contender, field.sink.ports.single.slice(0, count));
    await untilHealthy(contender, count);
    const cpuBefore = readCpuSeconds(pid);
    await sleep(REST_SECONDS * 1000, systemClock);
    const restCpu = (readCpuSeconds(pid) - cpuBefore) / REST_SECONDS;
    const metricsMs = await timeMetrics(contender);
    const scrapeMs = await timeScrapes(contender);
    const runs = await makeRuns(contender, { messages: 10, folder }, field);
    const rssBytes = readRssBytes(pid);
    await contender.child.stop();
    return { registrations, restCpu, metricsMs, scrapeMs, rssBytes, ...runs };
  };
  const [few, many] = [await measure(4), await measure(MANY_ANALYZERS)];
  const last = spreadOf(many.registrations.slice(-100)).median;
  const names = `with 4 analyzers, with ${formatCount(MANY_ANALYZERS)}`;
  return {
    lines: [
      line(`registering one, ms: the first, the last 100 of ${formatCount(MANY_ANALYZERS)}`, [
        spreadOf(many.registrations.slice(0, 100)).median.toFixed(2),
        last.toFixed(2),
      ]),
      line(`CPU at rest, health checks included, % of a core: ${names}`, [
        (few.restCpu * 100).toFixed(1),
        (many.restCpu * 100).toFixed(1),
      ]),
      line(`\`GET /api/v1/metrics\`, ms: ${names}`, [
        few.metricsMs.toFixed(1),
        many.metricsMs.toFixed(1),
      ]),
      line(`\`GET /metrics\`, a scrape, ms: ${names}`, [
        few.scrapeMs.toFixed(1),
        many.scrapeMs.toFixed(1),
      ]),
      line(`delivered/s, packets of 10, one a request: ${names}`, [
        formatCount(few.rate),
        formatCount(many.rate),
      ]),
      line(`CPU µs/packet: ${names}`, [few.cpuMicros.toFixed(1), many.cpuMicros.toFixed(1)]),
      line(`resident memory: ${names}`, [formatMib(few.rssBytes), formatMib(many.rssBytes)]),
    ],
    faults: [...few.faults, ...many.faults],
  };
}

async function measureConnections(ground: ScaleGround): Promise<ScaleResult> {
  const { start, field, folder } = ground;
  const contender = await start([]);
  await register(contender, field.sink.ports.batched);
  const few = await makeRuns(contender, { messages: 10, folder }, field);
  const rssBefore = readRssBytes(contender.child.pid);
  const idle = await openIdle(
    contender.url,
    Math.min(IDLE_CONNECTIONS, readOpenFiles() - SPARE_FILES),
  );
  const rssAfter = readRssBytes(contender.child.pid);
  const many = await makeRuns(contender, { messages: 10, folder }, field);
  const open = idle.count;
  const lost = await idle.close();
  await contender.child.stop();
  const name = `beside ${formatCount(open)} idle ones`;
  return {
    lines: [
      line(`delivered/s, packets of 10, 64 connections: alone, ${name}`, [
        formatCount(few.rate),
        formatCount(many.rate),
      ]),
      line(`resident memory: alone, ${name}`, [formatMib(rssBefore), formatMib(rssAfter)]),
    ],
    faults: [...few.faults, ...many.faults, ...lost > 0 ? [`${lost} connections were cut`] : []],
  };
}

async function measureViewers({ start, field, folder }: ScaleGround): Promise<ScaleResult> {
  const contender = await start([]);
  await register(contender, field.sink.ports.batched.slice(0, 4));
  const load = { ammunition: loadAmmunition(folder, 10), connections: 64, seconds: RUN_SECONDS };
  await makeRun(contender, load, field);
  const [alone, beside]: [RunResult[], RunResult[]] = [[], []];
  let lost = 0;
  const runAlone = async () => void alone.push(await makeRun(contender, load, field));
  const runBeside = async () => {
    const viewers = await openViewers(contender.url, VIEWERS);
    await sleep(1000, systemClock);
    beside.push(await makeRun(contender, load, field));
    lost += await viewers.close();
  };
  for (let i = 0; i < VIEWER_PAIRS; i++) {
    for (const run of i % 2 === 0 ? [runAlone, runBeside] : [runBeside, runAlone]) await run();
  }
  await contender.child.stop();
  const rates = (runs: readonly RunResult[]) => runs.map(({ rate }) => rate);
  const costs = (runs: readonly RunResult[]) => runs.map(({ cpuMicros }) => cpuMicros);
  const name = `beside ${VIEWERS} viewers of the dashboard`;
  return {
    lines: [
      line(`delivered/s, packets of 10, 64 connections: alone, ${name}`, [
        formatCount(spreadOf(rates(alone)).median),
        formatCount(spreadOf(rates(beside)).median),
      ]),
      line("CPU µs/packet: alone, beside them", [
        spreadOf(costs(alone)).median.toFixed(1),
        spreadOf(costs(beside)).median.toFixed(1),
      ]),
    ],
    faults: [
      ...[...alone, ...beside].flatMap(({ faults }) => faults),
      ...lost > 0 ? [`${lost} viewers were cut off, or saw nothing`] : [],
    ],
  };
}

async function measureLarge({ start, field, folder }: ScaleGround): Promise<ScaleResult> {
  const contender = await start([]);
  await register(contender, field.sink.ports.batched);
  const few = await makeRuns(contender, { messages: 100, folder }, field);
  const packets = makePackets(LARGE_MESSAGES, 4);
  const ammunition = prepareWrk(folder, { packets, messages: LARGE_MESSAGES });
  const load = { ammunition, connections: 16, seconds: 2 * RUN_SECONDS };
  const run = await makeRun(contender, load, field);
  const peakBytes = readPeakRssBytes(contender.child.pid);
  await contender.child.stop();
  const megabytes = (rate: number, bytes: number) => Math.round(rate * bytes / 1e6).toString();
  return {
    lines: [
      line(`delivered MB/s: packets of 100 messages, of ${(run.packetBytes / 1e6).toFixed(1)} MB`, [
        megabytes(few.rate, few.packetBytes),
        megabytes(run.rate, run.packetBytes),
      ]),
      line("CPU ms/MB: of those, of these", [
        (few.cpuMicros * 1000 / few.packetBytes).toFixed(1),
        (run.cpuMicros * 1000 / run.packetBytes).toFixed(1),
      ]),
      line("resident memory at the most: meanwhile", ["", formatMib(peakBytes)]),
    ],
    // A packet as large as that always goes alone.
    faults: run.faults.filter((fault) => !fault.includes("more than one packet")),
  };
}

async function measureQueue({ start, field, folder, note }: ScaleGround): Promise<ScaleResult> {
  const contender = await start([
    "--durability=memory",
    `--queue-size=${MANY_PACKETS}`,
    "--queue-bytes=4GiB",
  ]);
  const emptyMs = await timeMetrics(contender);
  const { script } = loadAmmunition(folder, 1);
  const { url } = contender;
  const shot = { url, script, connections: 64, seconds: FILL_SECONDS, signal: field.signal };
  const fill = new Pace(contender, EDGE_PACKETS);
  const giveUpMs = systemClock.monotonicMs() + FILL_TIMEOUT_MS;
  const isFull = () => fill.last.queued.packets >= MANY_PACKETS;
  await fill.read("accepted");
  while (!isFull() && systemClock.monotonicMs() < giveUpMs && !field.signal.aborted) {
    await runWrk(field.wrk, shot);
    await fill.read("accepted");
    note(`scale: ${fill.last.queued.packets} packets queued`);
  }
  const fullMs = await timeMetrics(contender);
  const rssBytes = readRssBytes(contender.child.pid);
  const drained = new Pace(contender, EDGE_PACKETS);
  await drained.read("delivered");
  await register(contender, field.sink.ports.batched);
  while (drained.last.queued.packets > 0 && systemClock.monotonicMs() < giveUpMs) {
    await sleep(200, systemClock);
    await drained.read("delivered");
  }
  const { accepted, delivered, dead_lettered, queued } = drained.last;
  await contender.child.stop();
  const edge = formatCount(EDGE_PACKETS);
  const rates = (pace: Pace) =>
    [formatCount(pace.first().rate), formatCount(pace.latest().rate)] as const;
  return {
    lines: [
      line(`accepted/s, 1 message, no analyzer: first, last ${edge} of a million`, rates(fill)),
      line(`CPU µs a packet accepted: first, last ${edge}`, [
        fill.first().cpuMicros.toFixed(1),
        fill.latest().cpuMicros.toFixed(1),
      ]),
      line(`delivered/s from that queue: first, last ${edge}`, rates(drained)),
      line("`GET /api/v1/metrics`, ms: queue empty, a million queued", [
        emptyMs.toFixed(1),
        fullMs.toFixed(1),
      ]),
      line("resident memory: with a million queued", ["", formatMib(rssBytes)]),
    ],
    faults: [
      ...isFull() ? [] : [`the queue held only ${fill.last.queued.packets} packets`],
      ...accepted.packets === delivered.packets + queued.packets && dead_lettered.packets === 0
        ? []
        : [`${accepted.packets} accepted, ${delivered.packets} delivered`],
    ],
  };
}

function line(what: string, [few, many]: readonly [string, string]): ScaleLine {
  return { what, few, many };
}

/** Registers analyzers of the sink, one after the other; returns how long each took. */
async function register({ url }: Contender, ports: readonly number[]): Promise<number[]> {
  const times: number[] = [];
  for (const [i, port] of ports.entries()) {
    const startedMs = systemClock.monotonicMs();
    const response = await fetch(`${url}/api/v1/analyzers`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: `a${i}`, url: `http://127.0.0.1:${port}`, weight: 1 + i % 4 }),
    });
    await response.bytes();
    if (!response.ok) throw new Error(`Cannot register analyzer ${i}: ${response.status}`);
    times.push(systemClock.monotonicMs() - startedMs);
  }
  return times;
}

async function untilHealthy({ readBooks }: Contender, count: number): Promise<void> {
  const isHealthy = async () =>
    (await readBooks!()).analyzers.filter(({ state }) => state === "healthy").length === count;
  while (!await isHealthy()) await sleep(100, systemClock);
}

function timeMetrics({ readBooks }: Contender): Promise<number> {
  return timeMedian(readBooks!);
}

function timeScrapes({ url }: Contender): Promise<number> {
  return timeMedian(async () => {
    const response = await fetch(`${url}/metrics`);
    await response.bytes();
  });
}

/** Milliseconds; the median of a few. */
async function timeMedian(ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startedMs = systemClock.monotonicMs();
    await ask();
    times.push(systemClock.monotonicMs() - startedMs);
  }
  return spreadOf(times).median;
}

/** Medians of a few runs at 64 connections. */
async function makeRuns(
  contender: Contender,
  { messages, folder }: { messages: number; folder: string },
  field: Field,
): Promise<{ rate: number; cpuMicros: number; packetBytes: number; faults: string[] }> {
  const ammunition = loadAmmunition(folder, messages);
  const load = { ammunition, connections: 64, seconds: RUN_SECONDS };
  const runs: RunResult[] = [];
  for (let i = 0; i <= RUNS; i++) runs.push(await makeRun(contender, load, field));
  const counted = runs.slice(1);
  return {
    rate: spreadOf(counted.map(({ rate }) => rate)).median,
    cpuMicros: spreadOf(counted.map(({ cpuMicros }) => cpuMicros)).median,
    packetBytes: ammunition.packetBytes,
    faults: runs.flatMap(({ faults }) => faults),
  };
}
