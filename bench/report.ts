/** What the bench says: tables for people, the same in Markdown for the README. */

import { type ContenderName, TITLES } from "./contenders.ts";
import type { DrawResult } from "./draws.ts";
import type { LatencyResult } from "./latency.ts";
import { LATENCY_ROUNDS, LATENCY_SECONDS, summarizeLatency } from "./latency.ts";
import type { Machine } from "./machine.ts";
import type { MemoryResult } from "./memory.ts";
import type { RunResult } from "./run.ts";
import type { ShareResult } from "./shares.ts";
import { SHARE_PACKETS } from "./shares.ts";
import type { ScaleResult } from "./scale.ts";
import { tabulateScale } from "./scale_report.ts";
import {
  formatCount,
  formatMib,
  formatMs,
  formatPercent,
  formatRatio,
  type Row,
  type Table,
} from "./table.ts";
import type { ThreadsResult } from "./threads.ts";
import { tabulateThreads } from "./threads_report.ts";
import { summarize, type ThroughputRow } from "./throughput.ts";

/** Everything measured; parts that were not asked for are missing. */
export interface Results {
  readonly date: string;
  readonly machine: Machine;
  readonly durability: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Each single run. */
  throughput?: readonly RunResult[];
  latency?: readonly LatencyResult[];
  memory?: MemoryResult;
  shares?: readonly ShareResult[];
  draw?: readonly DrawResult[];
  threads?: readonly ThreadsResult[];
  scale?: ScaleResult;
}

/** All tables of what was measured. */
export function tablesOf(results: Results): Table[] {
  return [
    results.throughput?.length ? tabulateThroughput(results.throughput) : [],
    results.latency?.length ? tabulateLatency(results.latency) : [],
    results.shares?.length ? tabulateShares(results.shares) : [],
    results.memory ? tabulateMemory(results.memory) : [],
    results.draw ? tabulateDraws(results.draw) : [],
    results.threads?.length ? tabulateThreads(results.threads) : [],
    results.scale ? tabulateScale(results.scale) : [],
  ].flat();
}

/** What did not agree, with where. */
export function faultsOf(results: Results): string[] {
  const runs = [...results.throughput ?? [], ...(results.memory ? [results.memory.run] : [])];
  return [
    ...runs.flatMap(({ contender, messages, connections, faults }) =>
      faults.map((fault) =>
        `${TITLES[contender]}, packets of ${messages}, ${connections} connections: ${fault}`
      )
    ),
    ...(results.latency ?? []).flatMap(({ contender, messages, faults }) =>
      faults.map((fault) => `latency of ${TITLES[contender]}, packets of ${messages}: ${fault}`)
    ),
    ...(results.shares ?? []).flatMap(({ contender, faults }) =>
      faults.map((fault) => `shares of ${TITLES[contender]}: ${fault}`)
    ),
    ...(results.threads ?? []).flatMap(({ threads, run }) =>
      run.faults.map((fault) => `threads ${threads}, packets of ${run.messages}: ${fault}`)
    ),
    ...results.scale?.faults ?? [],
  ];
}

/** `--quick`: everything in one line. */
export function formatQuick(results: readonly RunResult[]): string {
  const rows = summarize(results).filter(({ contender }) => contender === "batched");
  const parts = rows.map(({ connections, toHaproxy, toNginx }) =>
    `${connections} connections ${formatRatio(toHaproxy)} HAProxy, ${formatRatio(toNginx)} NGINX`
  );
  return `delivered, packets of 10 messages: ${parts.join("; ")}`;
}

function tabulateThroughput(results: readonly RunResult[]): Table {
  const head = [
    "messages",
    "KB",
    "connections",
    "contender",
    "delivered/s",
    "to HAProxy",
    "to NGINX",
    "CPU µs/packet",
    "packets/POST",
    "refused",
    "sink busy",
  ];
  const rows = summarize(results);
  const order = Object.keys(TITLES) as ContenderName[];
  const sorted = rows.toSorted((a, b) =>
    a.messages - b.messages || a.connections - b.connections ||
    order.indexOf(a.contender) - order.indexOf(b.contender)
  );
  return { title: "Delivered packets", rows: [head, ...sorted.map(describeRow)] };
}

function describeRow(row: ThroughputRow): Row {
  return [
    String(row.messages),
    (row.packetBytes / 1000).toPrecision(2),
    String(row.connections),
    TITLES[row.contender],
    formatCount(row.rate.median),
    row.contender === "haproxy" ? "1" : formatRatio(row.toHaproxy),
    row.contender === "nginx" ? "1" : formatRatio(row.toNginx),
    row.cpuMicros.toFixed(1),
    row.packetsPerPost.toFixed(1),
    formatPercent(row.refusedFraction),
    formatPercent(row.sinkLoad),
  ];
}

function tabulateLatency(results: readonly LatencyResult[]): Table {
  const rows = summarizeLatency(results).map((row) => [
    String(row.messages),
    formatCount(row.targetRate),
    formatPercent(row.capacityFraction),
    TITLES[row.contender],
    formatMs(row.p50Ms),
    formatMs(row.p99Ms),
    formatPercent(row.lateFraction),
  ]);
  const head = [
    "messages",
    "packets/s",
    "of HAProxy's",
    "contender",
    "p50 ms",
    "p99 ms",
    "sent late",
  ];
  return { title: "Accept latency, open loop", rows: [head, ...rows] };
}

function tabulateShares(results: readonly ShareResult[]): Table {
  const rows = results.map(({ contender, errorPoints, messages }) => {
    const total = messages.reduce((sum, count) => sum + count, 0);
    const shares = messages.map((count) => (count / total * 100).toFixed(2)).join(" / ");
    return [TITLES[contender], errorPoints.toFixed(3), shares];
  });
  return {
    title: `Shares of messages after ${formatCount(SHARE_PACKETS)} packets of 1 to 1000`,
    rows: [["contender", "largest error, points", "40 / 30 / 20 / 10 %"], ...rows],
  };
}

function tabulateMemory(result: MemoryResult): Table {
  const { samplesBytes, firstBytes, lastBytes, peakBytes, run } = result;
  return {
    title: `Resident memory of the distributor, packets of ${run.messages}, ` +
      `${run.connections} connections, full speed`,
    rows: [
      ["seconds", "delivered/s", "first 10 s", "last 10 s", "peak"],
      [
        String(samplesBytes.length),
        formatCount(run.rate),
        formatMib(firstBytes),
        formatMib(lastBytes),
        formatMib(peakBytes),
      ],
    ],
  };
}

function tabulateDraws(results: readonly DrawResult[]): Table {
  const rows = results.map(({ analyzers, nanoseconds }) => [
    String(analyzers),
    nanoseconds.toFixed(0),
  ]);
  return { title: "One draw", rows: [["analyzers", "ns"], ...rows] };
}

/** A table in columns. */
export function formatTable({ title, rows }: Table): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) =>
    row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()
  );
  return [title, "", ...lines.map((line) => `  ${line}`)].join("\n");
}

/** The same for the README. */
export function formatMarkdown({ title, rows }: Table): string {
  const [head, ...body] = rows.map((row) => `| ${row.join(" | ")} |`);
  const rule = `|${" --- |".repeat(rows[0]!.length)}`;
  return [`**${title}**`, "", head, rule, ...body].join("\n");
}

/** Machine, versions and date, in two lines. */
export function describeSetting({ machine, date, durability, rounds, seconds }: Results): string {
  const { versions } = machine;
  return `Measured on ${date.slice(0, 10)}: ${machine.cores} cores of ${machine.cpu}, ` +
    `${Math.round(machine.memoryBytes / 2 ** 30)} GiB, Linux ${machine.kernel}. ` +
    `Distributor ${versions.distributor} on Deno ${versions.deno} with durability ${durability}, ` +
    `HAProxy ${versions.haproxy}, NGINX ${versions.nginx}, wrk ${versions.wrk}. ` +
    `Medians of ${rounds} rounds of alternating runs of ${seconds} s, for latency ` +
    `${LATENCY_ROUNDS} of ${LATENCY_SECONDS} s; least to most in brackets.`;
}

const METHOD = `\`deno task bench\` makes these tables. The distributor, HAProxy and NGINX run ` +
  `beside each other on one machine, one thread each, with weights 4/3/2/1 and kept-alive ` +
  `connections (configs in \`bench/\`); wrk sends, and one more NGINX stands for four analyzers ` +
  `and reads each packet to its end. Counted is what arrived there, until the last of it did; in ` +
  `each run wrk's count, the distributor's own and the sink's must agree. Ratios are of runs of ` +
  `the same round; sender, contender and sink share the cores. HAProxy and NGINX weigh requests ` +
  `and know nothing of messages; they send one packet a request, the distributor batches where ` +
  `analyzers offer it. Latency is at half of HAProxy's capacity at 64 connections, or as near to it as our generator, ` +
  `sharing the cores, sends on time; it counts from when a packet was due to its answer: the analyzer's with ` +
  `a proxy, the distributor's own once it has taken the packet.`;

/** What goes between the bench marks of the README. */
export function formatReadme(results: Results): string {
  const tables = tablesOf(results).map(formatMarkdown);
  return [describeSetting(results), METHOD, ...tables].join("\n\n");
}
