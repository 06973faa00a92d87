/** CPU time and memory of a process, from /proc. */

/** USER_HZ: what /proc counts in, on every Linux. */
const TICKS_PER_SECOND = 100;

/** CPU time used so far by a process, its threads and its children, in seconds. */
export function readCpuSeconds(pid: number): number {
  const own = parseCpuTicks(Deno.readTextFileSync(`/proc/${pid}/stat`)) / TICKS_PER_SECOND;
  return childrenOf(pid).reduce((sum, child) => sum + readCpuSeconds(child), own);
}

/** utime + stime of a line of /proc/PID/stat; the name in it may hold blanks and brackets. */
export function parseCpuTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** CPU time by kind of thread. */
export interface ThreadCpu {
  readonly main: number;
  /** Web workers. */
  readonly ingest: number;
  /** What the runtime has besides, for garbage collection and for files. */
  readonly runtime: number;
}

/** CPU time used so far by the threads of a process, in seconds. */
export function readThreadCpuSeconds(pid: number): ThreadCpu {
  const sums = { main: 0, ingest: 0, runtime: 0 };
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const stat = readStat(`/proc/${pid}/task/${name}/stat`);
    if (stat === undefined) continue;
    const kind = Number(name) === pid ? "main" : /\(worker-/.test(stat) ? "ingest" : "runtime";
    sums[kind] += parseCpuTicks(stat) / TICKS_PER_SECOND;
  }
  return sums;
}

/** Undefined when the thread has just ended. */
function readStat(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/** Resident memory now. */
export function readRssBytes(pid: number): number {
  return readMemory(pid, "VmRSS");
}

/** The most resident memory there has been. */
export function readPeakRssBytes(pid: number): number {
  return readMemory(pid, "VmHWM");
}

function readMemory(pid: number, field: string): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
}

/** Processes that a process has started. */
export function childrenOf(pid: number): number[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter(Boolean).map(Number);
}
