/**
 * One run: wrk against one contender, what arrived at the sink, and whether the books agree.
 *
 * The rate counts what was delivered, over the time until the last of it was.
 */

import { sleep, systemClock } from "../src/clock.ts";
import type { MetricsView } from "../src/metrics.ts";
import type { Contender, ContenderName } from "./contenders.ts";
import { deliveredLength } from "./packets.ts";
import { readCpuSeconds } from "./process_usage.ts";
import type { Arrivals, Sink } from "./sink.ts";
import { type Ammunition, runWrk, type WrkReport } from "./wrk.ts";

const DRAIN_TIMEOUT_MS = 30_000;

export interface Load {
  readonly ammunition: Ammunition;
  readonly connections: number;
  readonly seconds: number;
}

/** What a run needs besides. */
export interface Field {
  readonly sink: Sink;
  readonly wrk: string;
  readonly signal: AbortSignal;
}

/** What one run came to. */
export interface RunResult {
  readonly contender: ContenderName;
  readonly messages: number;
  /** Length of a packet as sent. */
  readonly packetBytes: number;
  readonly connections: number;
  readonly wrk: WrkReport;
  /** Packets at the sink. */
  readonly delivered: number;
  readonly posts: number;
  /** Delivered a second. */
  readonly rate: number;
  /** From the end of wrk until nothing was queued any more. */
  readonly drainSeconds: number;
  /** CPU time of the contender a packet delivered, in microseconds. */
  readonly cpuMicros: number;
  /** Of one core: how near the sink was to being the limit. */
  readonly sinkLoad: number;
  /** Where the books do not agree. */
  readonly faults: readonly string[];
}

/** Makes one run. */
export async function makeRun(
  contender: Contender,
  load: Load,
  { sink, wrk, signal }: Field,
): Promise<RunResult> {
  const { ammunition, connections, seconds } = load;
  const booksBefore = await contender.readBooks?.();
  const mark = await sink.mark();
  const cpuBefore = readCpuSeconds(contender.child.pid);
  const sinkBefore = readCpuSeconds(sink.child.pid);
  const { url, kind } = contender;
  const shot = { url, script: ammunition.script, connections, seconds, signal };
  const report = await runWrk(wrk, shot);
  const drainSeconds = await untilDrained(contender, signal);
  const cpuSeconds = readCpuSeconds(contender.child.pid) - cpuBefore;
  const elapsed = report.seconds + drainSeconds;
  const sinkLoad = (readCpuSeconds(sink.child.pid) - sinkBefore) / elapsed;
  const deliveredBytes = deliveredLength(ammunition.packetBytes);
  const arrivals = await sink.since(mark, { kind, packetBytes: deliveredBytes });
  // Only now: the requests that wrk has left behind are through as well.
  const booksAfter = await contender.readBooks?.();
  const books = booksAfter && booksBefore ? subtractBooks(booksAfter, booksBefore) : undefined;
  return {
    contender: contender.name,
    messages: ammunition.messages,
    packetBytes: ammunition.packetBytes,
    connections,
    wrk: report,
    delivered: arrivals.packets,
    posts: arrivals.posts,
    rate: arrivals.packets / elapsed,
    drainSeconds,
    cpuMicros: cpuSeconds * 1e6 / arrivals.packets,
    sinkLoad,
    faults: audit({ report, arrivals, connections, books, kind }),
  };
}

/** Waits until nothing is queued nor in flight, and returns how long; proxies keep nothing. */
export async function untilDrained(
  { readBooks }: Contender,
  signal: AbortSignal,
): Promise<number> {
  if (!readBooks) return 0;
  const startedMs = systemClock.monotonicMs();
  for (;;) {
    const books = await readBooks();
    const elapsedMs = systemClock.monotonicMs() - startedMs;
    const isDrained = books.queued.packets + books.in_flight.packets === 0;
    if (isDrained || signal.aborted || elapsedMs > DRAIN_TIMEOUT_MS) return elapsedMs / 1000;
    await sleep(2, systemClock);
  }
}

/** What a distributor's books say of one run. */
export interface BooksDelta {
  readonly accepted: number;
  readonly delivered: number;
  readonly deadLettered: number;
  readonly retries: number;
  /** Still queued or in flight. */
  readonly left: number;
  readonly rejected: number;
  /** Rejections by code. */
  readonly byCode: Readonly<Record<string, number>>;
}

function subtractBooks(after: MetricsView, before: MetricsView): BooksDelta {
  const codes = Object.entries(after.rejected.by_code);
  const old: Record<string, number> = before.rejected.by_code;
  return {
    accepted: after.accepted.packets - before.accepted.packets,
    delivered: after.delivered.packets - before.delivered.packets,
    deadLettered: after.dead_lettered.packets - before.dead_lettered.packets,
    retries: after.retries - before.retries,
    left: after.queued.packets + after.in_flight.packets,
    rejected: after.rejected.packets - before.rejected.packets,
    byCode: Object.fromEntries(
      codes.map(([code, count]) => [code, count - (old[code] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    ),
  };
}

/** Refusals of a full queue, and requests that the end of wrk cut off. */
const EXPECTED_CODES = new Set(["QUEUE_FULL", "BODY_INCOMPLETE"]);

/**
 * Holds the three counts against each other: wrk's, the distributor's own and the sink's.
 *
 * wrk leaves with a request under way on each connection: so many may have been taken, or refused,
 * beyond the answers that it has seen.
 */
export function audit({ report, arrivals, connections, books, kind }: {
  report: WrkReport;
  arrivals: Arrivals;
  connections: number;
  books: BooksDelta | undefined;
  kind: "single" | "batched";
}): string[] {
  const faults = [...arrivals.faults];
  const expect = (holds: boolean, fault: string) => holds || faults.push(fault);
  const { requests, refused, socketErrors } = report;
  const { connect, read, write, timeout } = socketErrors;
  const broken = connect + read + write + timeout;
  expect(broken === 0, `wrk saw ${broken} socket errors or timeouts`);
  const taken = requests - refused;
  const within = (count: number, from: number) => count >= from && count <= from + connections;
  if (!books) {
    expect(refused === 0, `wrk saw ${refused} refusals`);
    expect(within(arrivals.packets, taken), `${taken} answers, ${arrivals.packets} at the sink`);
    return faults;
  }
  const { accepted, delivered, deadLettered, retries, left, rejected, byCode } = books;
  expect(left === 0, `${left} packets never left the queue`);
  expect(deadLettered === 0, `${deadLettered} packets became dead letters`);
  expect(accepted === delivered, `${accepted} accepted, ${delivered} delivered`);
  expect(
    retries === 0 ? arrivals.packets === delivered : arrivals.packets >= delivered,
    `${delivered} delivered, ${arrivals.packets} at the sink, ${retries} retries`,
  );
  expect(within(accepted, taken), `${taken} answers of 202, ${accepted} accepted`);
  expect(within(rejected, refused), `${refused} refusals, ${rejected} in the metrics`);
  const others = Object.keys(byCode).filter((code) => !EXPECTED_CODES.has(code));
  expect(others.length === 0, `refused with ${others.join(", ")}`);
  if (kind === "batched") {
    expect(arrivals.posts < arrivals.packets, "no request held more than one packet");
  }
  return faults;
}
