/** Resident memory of the distributor in a long run at full speed, read each second. */

import type { Contender } from "./contenders.ts";
import { readPeakRssBytes, readRssBytes } from "./process_usage.ts";
import { spreadOf } from "./rounds.ts";
import { type Field, makeRun, type RunResult } from "./run.ts";
import { loadAmmunition } from "./throughput.ts";

const MESSAGES = 10;
const CONNECTIONS = 512;
const EDGE_SAMPLES = 10;

export interface MemoryResult {
  readonly samplesBytes: readonly number[];
  /** Medians of the first and of the last ten seconds. */
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly peakBytes: number;
  readonly run: RunResult;
}

/** Makes the run; the distributor should be a fresh one. */
export async function measureMemory(
  contender: Contender,
  seconds: number,
  { field, folder }: { field: Field; folder: string },
): Promise<MemoryResult> {
  const { pid } = contender.child;
  const samplesBytes: number[] = [];
  const timer = setInterval(() => samplesBytes.push(readRssBytes(pid)), 1000);
  try {
    const ammunition = loadAmmunition(folder, MESSAGES);
    const run = await makeRun(contender, { ammunition, connections: CONNECTIONS, seconds }, field);
    return {
      samplesBytes,
      firstBytes: spreadOf(samplesBytes.slice(0, EDGE_SAMPLES)).median,
      lastBytes: spreadOf(samplesBytes.slice(0, seconds).slice(-EDGE_SAMPLES)).median,
      peakBytes: readPeakRssBytes(pid),
      run,
    };
  } finally {
    clearInterval(timer);
  }
}
