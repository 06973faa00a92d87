/** What this process uses of the machine; a door to the runtime and, on Linux, to /proc/self. */

import process from "node:process";

export interface ProcessUsage {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  readonly cpuSeconds: number;
  /** Undefined where the system does not say. */
  readonly openFiles: number | undefined;
}

/** Reads it now. */
export function readProcessUsage(): ProcessUsage {
  const { rss, heapUsed, heapTotal } = Deno.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: rss,
    heapUsedBytes: heapUsed,
    heapTotalBytes: heapTotal,
    cpuSeconds: (user + system) / 1e6,
    openFiles: countOpenFiles(),
  };
}

function countOpenFiles(): number | undefined {
  try {
    let open = 0;
    for (const _ of Deno.readDirSync("/proc/self/fd")) open++;
    // One of them is the folder that is being read.
    return open - 1;
  } catch {
    return undefined;
  }
}
