/** What a second thread gives: the distributor with one and with two, in turn, and their CPU. */

import type { Contender } from "./contenders.ts";
import { readThreadCpuSeconds, type ThreadCpu } from "./process_usage.ts";
import { orderOf, ratioOf, type Spread, spreadOf } from "./rounds.ts";
import { type Field, makeRun, type RunResult } from "./run.ts";
import { loadAmmunition, type Plan } from "./throughput.ts";

const WARM_UP = { connections: 64, seconds: 2 };

/** A distributor that runs with so many threads. */
export interface Threaded {
  readonly threads: number;
  readonly contender: Contender;
}

export interface ThreadsResult {
  readonly threads: number;
  readonly run: RunResult;
  /** CPU time a packet delivered, in microseconds. */
  readonly cpuMicros: ThreadCpu;
}

/** Runs all rounds, as for the throughput. */
export async function measureThreads(
  contenders: readonly Threaded[],
  plan: Plan,
  { field, folder, note }: { field: Field; folder: string; note: (line: string) => void },
): Promise<ThreadsResult[]> {
  const results: ThreadsResult[] = [];
  for (const messages of plan.sizes) {
    const ammunition = loadAmmunition(folder, messages);
    for (const { contender } of contenders) {
      await makeRun(contender, { ammunition, ...WARM_UP }, field);
    }
    for (const connections of plan.connections) {
      note(`threads: packets of ${messages}, ${connections} connections`);
      for (let round = 0; round < plan.rounds; round++) {
        for (const one of orderOf(round, contenders)) {
          if (field.signal.aborted) return results;
          const load = { ammunition, connections, seconds: plan.seconds };
          results.push(await measureOne(one, () => makeRun(one.contender, load, field)));
        }
      }
    }
  }
  return results;
}

async function measureOne(
  { threads, contender }: Threaded,
  makeOne: () => Promise<RunResult>,
): Promise<ThreadsResult> {
  const before = readThreadCpuSeconds(contender.child.pid);
  const run = await makeOne();
  const after = readThreadCpuSeconds(contender.child.pid);
  const micros = (seconds: number) => seconds * 1e6 / run.delivered;
  return {
    threads,
    run,
    cpuMicros: {
      main: micros(after.main - before.main),
      ingest: micros(after.ingest - before.ingest),
      runtime: micros(after.runtime - before.runtime),
    },
  };
}

/** One size and number of connections, over all rounds. */
export interface ThreadsRow {
  readonly messages: number;
  readonly connections: number;
  readonly one: Spread;
  readonly two: Spread;
  readonly ratio: Spread;
  readonly cpuOfOne: ThreadCpu;
  readonly cpuOfTwo: ThreadCpu;
}

/** Takes the medians; the n-th runs of both are of the same round. */
export function summarizeThreads(results: readonly ThreadsResult[]): ThreadsRow[] {
  const groups = Map.groupBy(
    results,
    ({ run: { messages, connections } }) => `${messages},${connections}`,
  );
  return [...groups.values()].map((group) => {
    const of = (threads: number) => group.filter((result) => result.threads === threads);
    const ratesOf = (threads: number) => of(threads).map(({ run }) => run.rate);
    const { messages, connections } = group[0]!.run;
    return {
      messages,
      connections,
      one: spreadOf(ratesOf(1)),
      two: spreadOf(ratesOf(2)),
      ratio: ratioOf(ratesOf(2), ratesOf(1)),
      cpuOfOne: medianCpu(of(1)),
      cpuOfTwo: medianCpu(of(2)),
    };
  });
}

function medianCpu(results: readonly ThreadsResult[]): ThreadCpu {
  const median = (part: keyof ThreadCpu) =>
    spreadOf(results.map(({ cpuMicros }) => cpuMicros[part])).median;
  return { main: median("main"), ingest: median("ingest"), runtime: median("runtime") };
}
