/** What the kernel knows of a process, read from /proc; Linux alone. */

import { parseCpuTicks } from "../../bench/process_usage.ts";

/** USER_HZ: what /proc counts in, on every Linux. */
const TICKS_PER_SECOND = 100;

/** Processor time used so far, in seconds. */
export function cpuSeconds(pid: number): number {
  return parseCpuTicks(Deno.readTextFileSync(`/proc/${pid}/stat`)) / TICKS_PER_SECOND;
}

/** Resident memory in bytes; 0 once the process has ended. */
export function residentBytes(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Open file descriptors; 0 once the process has ended. */
export function openDescriptors(pid: number): number {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  } catch {
    return 0;
  }
}
