/** Delivered packets a second: every contender in turn, for each size and number of connections. */

import type { Contender, ContenderName } from "./contenders.ts";
import { makePackets } from "./packets.ts";
import { orderOf, ratioOf, type Spread, spreadOf } from "./rounds.ts";
import { type Field, makeRun, type RunResult } from "./run.ts";
import { type Ammunition, prepareWrk } from "./wrk.ts";

const WARM_UP = { connections: 64, seconds: 1 };

/** What is to be measured. */
export interface Plan {
  /** Messages a packet. */
  readonly sizes: readonly number[];
  readonly connections: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
}

/** Makes packets of one size, as wrk sends them. */
export function loadAmmunition(folder: string, messages: number): Ammunition {
  return prepareWrk(folder, { packets: makePackets(messages), messages });
}

/** Runs all rounds; the first second of each contender with each size does not count. */
export async function measureThroughput(
  contenders: readonly Contender[],
  plan: Plan,
  { field, folder, note }: { field: Field; folder: string; note: (line: string) => void },
): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for (const messages of plan.sizes) {
    const ammunition = loadAmmunition(folder, messages);
    for (const contender of contenders) {
      await makeRun(contender, { ammunition, ...WARM_UP }, field);
    }
    for (const connections of plan.connections) {
      note(`throughput: packets of ${messages}, ${connections} connections`);
      for (let round = 0; round < plan.rounds; round++) {
        for (const contender of orderOf(round, contenders)) {
          if (field.signal.aborted) return results;
          const load = { ammunition, connections, seconds: plan.seconds };
          results.push(await makeRun(contender, load, field));
        }
      }
    }
  }
  return results;
}

/** One contender with one load, over all rounds. */
export interface ThroughputRow {
  readonly messages: number;
  readonly packetBytes: number;
  readonly connections: number;
  readonly contender: ContenderName;
  readonly rate: Spread;
  readonly toHaproxy: Spread;
  readonly toNginx: Spread;
  readonly cpuMicros: number;
  /** Of all answers. */
  readonly refusedFraction: number;
  readonly packetsPerPost: number;
  readonly sinkLoad: number;
}

/** Takes the medians; the n-th runs of two contenders are of the same round. */
export function summarize(results: readonly RunResult[]): ThroughputRow[] {
  const groups = Map.groupBy(
    results,
    ({ messages, connections, contender }) => [messages, connections, contender].join(),
  );
  const ratesOf = ({ messages, connections }: RunResult, contender: ContenderName) =>
    groups.get([messages, connections, contender].join())!.map(({ rate }) => rate);
  return [...groups.values()].map((runs) => {
    const first = runs[0]!;
    const rates = runs.map(({ rate }) => rate);
    const sum = (pick: (run: RunResult) => number) =>
      runs.reduce((total, run) => total + pick(run), 0);
    return {
      messages: first.messages,
      packetBytes: first.packetBytes,
      connections: first.connections,
      contender: first.contender,
      rate: spreadOf(rates),
      toHaproxy: ratioOf(rates, ratesOf(first, "haproxy")),
      toNginx: ratioOf(rates, ratesOf(first, "nginx")),
      cpuMicros: spreadOf(runs.map(({ cpuMicros }) => cpuMicros)).median,
      refusedFraction: sum(({ wrk }) => wrk.refused) / sum(({ wrk }) => wrk.requests),
      packetsPerPost: sum(({ delivered }) => delivered) / sum(({ posts }) => posts),
      sinkLoad: spreadOf(runs.map(({ sinkLoad }) => sinkLoad)).median,
    };
  });
}
