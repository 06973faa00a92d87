/**
 * Time until an agent has its answer, at half of what HAProxy can take, the same rate for all.
 *
 * Open loop: each packet counts from when it was due, so that a stall is paid by all who wait. The
 * generator shares the cores: where it cannot send so much on time, all get less, and it is said.
 */

import type { Contender, ContenderName } from "./contenders.ts";
import { runGenerator } from "./generator.ts";
import { orderOf, type Spread, spreadOf } from "./rounds.ts";
import { type Field, makeRun, untilDrained } from "./run.ts";
import { loadAmmunition } from "./throughput.ts";

export const LATENCY_ROUNDS = 3;
export const LATENCY_SECONDS = 4;
/** More than are ever under way, unless something stalls. */
const CONCURRENCY = 256;
/** A rate is too much when more than this part of the packets leaves late: p99 must not see it. */
const MAX_LATE = 0.001;
const TRIAL_SECONDS = 2;
const TRIALS = 8;
const STEP_DOWN = 0.75;
/** Where HAProxy's capacity is not known yet. */
const CAPACITY_RUN = { connections: 64, seconds: 2 };
const CAPACITY_ROUNDS = 2;

export interface LatencyResult {
  readonly contender: ContenderName;
  readonly messages: number;
  /** Packets a second of HAProxy, at 64 connections. */
  readonly capacity: number;
  /** Packets a second that were asked for, and that were sent. */
  readonly targetRate: number;
  readonly achievedRate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of all packets: sent more than 10 ms late, because the generator or a stall held them up. */
  readonly lateFraction: number;
  readonly faults: readonly string[];
}

/** Measures HAProxy's capacity at 64 connections. */
export async function measureCapacity(
  haproxy: Contender,
  messages: number,
  { field, folder }: { field: Field; folder: string },
): Promise<number> {
  const ammunition = loadAmmunition(folder, messages);
  const rates: number[] = [];
  for (let round = 0; round < CAPACITY_ROUNDS; round++) {
    rates.push((await makeRun(haproxy, { ammunition, ...CAPACITY_RUN }, field)).rate);
  }
  return spreadOf(rates).median;
}

/** Runs all rounds of one packet size. */
export async function measureLatency(
  contenders: readonly Contender[],
  { messages, capacity }: { messages: number; capacity: number },
  signal: AbortSignal,
): Promise<LatencyResult[]> {
  const haproxy = contenders.find(({ name }) => name === "haproxy")!;
  const rate = await findRate(haproxy, { messages, capacity }, signal);
  const results: LatencyResult[] = [];
  for (let round = 0; round < LATENCY_ROUNDS; round++) {
    for (const contender of orderOf(round, contenders)) {
      if (signal.aborted) return results;
      const load = { messages, capacity, rate, seconds: LATENCY_SECONDS };
      results.push(await measureOnce(contender, load, signal));
    }
  }
  return results;
}

/** Half of HAProxy's capacity, or less until the generator keeps time with it. */
async function findRate(
  haproxy: Contender,
  { messages, capacity }: { messages: number; capacity: number },
  signal: AbortSignal,
): Promise<number> {
  let rate = capacity / 2;
  for (let trial = 0; trial < TRIALS && !signal.aborted; trial++) {
    const load = { messages, capacity, rate, seconds: TRIAL_SECONDS };
    if ((await measureOnce(haproxy, load, signal)).lateFraction <= MAX_LATE) break;
    rate *= STEP_DOWN;
  }
  return rate;
}

async function measureOnce(
  contender: Contender,
  load: { messages: number; capacity: number; rate: number; seconds: number },
  signal: AbortSignal,
): Promise<LatencyResult> {
  const report = await runGenerator({
    url: contender.url,
    rate: Math.round(load.rate),
    batch: load.messages,
    duration: `${load.seconds}s`,
    concurrency: CONCURRENCY,
  }, signal);
  await untilDrained(contender, signal);
  const { sent, accepted, unsent, late } = report;
  return {
    contender: contender.name,
    messages: load.messages,
    capacity: load.capacity,
    targetRate: report.target_rate,
    achievedRate: report.achieved_rate,
    p50Ms: report.latency_ms.p50,
    p99Ms: report.latency_ms.p99,
    maxMs: report.latency_ms.max,
    lateFraction: late / sent,
    faults: accepted === sent && unsent === 0
      ? []
      : [`of ${sent + unsent} packets due, ${accepted} were accepted and ${unsent} never sent`],
  };
}

export interface LatencyRow {
  readonly messages: number;
  readonly contender: ContenderName;
  readonly targetRate: number;
  /** The rate as a part of HAProxy's capacity. */
  readonly capacityFraction: number;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly lateFraction: number;
}

/** Takes the medians. */
export function summarizeLatency(results: readonly LatencyResult[]): LatencyRow[] {
  const groups = Map.groupBy(results, (result) => `${result.messages},${result.contender}`);
  return [...groups.values()].map((runs) => ({
    messages: runs[0]!.messages,
    contender: runs[0]!.contender,
    targetRate: runs[0]!.targetRate,
    capacityFraction: runs[0]!.targetRate / runs[0]!.capacity,
    p50Ms: spreadOf(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(runs.map(({ p99Ms }) => p99Ms)),
    lateFraction: spreadOf(runs.map(({ lateFraction }) => lateFraction)).median,
  }));
}
