/** What the bench says of a second thread. */

import { formatCount, formatRatio, type Table } from "./table.ts";
import { summarizeThreads, type ThreadsResult } from "./threads.ts";

export function tabulateThreads(results: readonly ThreadsResult[]): Table {
  const rows = summarizeThreads(results).map((row) => [
    String(row.messages),
    String(row.connections),
    formatCount(row.one.median),
    formatCount(row.two.median),
    formatRatio(row.ratio),
    row.cpuOfOne.main.toFixed(1),
    row.cpuOfTwo.main.toFixed(1),
    row.cpuOfTwo.ingest.toFixed(1),
  ]);
  const head = [
    "messages",
    "connections",
    "delivered/s, 1 thread",
    "2 threads",
    "gain",
    "CPU µs/packet, 1 thread",
    "2 threads: main",
    "ingest",
  ];
  return { title: "A second thread (`--threads 2`)", rows: [head, ...rows] };
}
