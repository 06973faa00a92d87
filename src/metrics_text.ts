/**
 * The answer of `GET /metrics`: everything that is counted, in Prometheus' text format.
 *
 * Always true: labels come from closed sets and from the analyzers that are registered now, so a
 * removed analyzer's series go with it; every series is there from the start, with 0.
 */

import { type AnalyzerGlance, STATUS_KINDS } from "./analyzer_view.ts";
import { PACKET_CODES } from "./errors.ts";
import { encodeLabels, Exposition, labelsOf } from "./exposition.ts";
import type { Instruments } from "./instruments.ts";
import type { MetricsView, SpoolView } from "./metrics.ts";
import { FAILURE_CLASSES } from "./outcome.ts";
import type { ProcessUsage } from "./process_usage.ts";

/** What can be read often, since no percentile is in it. */
export type StateGlance = Omit<MetricsView, "analyzers"> & { readonly analyzers: AnalyzerGlance[] };

const NO_SPOOL: SpoolView = {
  arrivals_max_bytes: 0,
  wal_bytes: 0,
  damaged_packets: 0,
  used_bytes: 0,
  max_bytes: 0,
  packets_on_disk: 0,
  commits: 0,
  checkpoints: 0,
};

export interface MetricsTextParts {
  readonly state: StateGlance;
  readonly instruments: Instruments;
  readonly usage: ProcessUsage;
  readonly isReady: boolean;
  /** Who watches the dashboard's stream. */
  readonly viewers: number;
  /** When the process started, in seconds since the Unix epoch. */
  readonly startedAt: number;
  /** Version of the runtime. */
  readonly runtime: string;
}

/** Writes everything, at one moment. */
export function writeMetrics(parts: MetricsTextParts): Uint8Array<ArrayBuffer> {
  const { state } = parts;
  const { accept, queueWait, delivery, endToEnd, loopLag } = parts.instruments;
  const out = new Exposition();
  writeFlow(out, state);
  writeQueue(out, state);
  writeSpool(out, state.spool ?? NO_SPOOL);
  out.timing("accept_seconds", "From a request's arrival to its 202", accept);
  out.timing("queue_wait_seconds", "From acceptance to the start of the request", queueWait);
  out.timing("delivery_seconds", "Of a successful request to an analyzer", delivery);
  out.timing("end_to_end_seconds", "From a packet's acceptance to its delivery", endToEnd);
  out.timing("event_loop_lag_seconds", "How late timers are, twice a second", loopLag);
  writeAnalyzers(out, state.analyzers);
  writeProcess(out, parts);
  return out.toBytes();
}

function writeFlow(out: Exposition, state: StateGlance): void {
  const { received, rejected, delivered } = state;
  out.family("packets_received_total", "counter", "Packets let in since the start, by format")
    .sample(received.packets, labelsOf({ format: "json" }));
  out.counter("messages_received_total", "Messages in them", received.messages);
  out.counter("received_bytes_total", "Bytes of them", received.bytes);
  out.family("packets_rejected_total", "counter", "Packets that were refused, by error code");
  for (const code of PACKET_CODES) {
    out.sample(rejected.by_code[code] ?? 0, labelsOf({ reason: code }));
  }
  out.gauge(
    "accepted_packets",
    "Packets let in, and those found on disk at the start: all that the books are about",
    state.accepted.packets,
  );
  out.counter(
    "packets_lost_total",
    "Packets found damaged on disk and put aside: they have left the books",
    state.spool?.damaged_packets ?? 0,
  );
  out.counter("packets_delivered_total", "Packets that an analyzer has taken", delivered.packets);
  // A replay takes a dead letter back into the queue, so this one may fall.
  const dead = state.dead_lettered.packets;
  out.gauge("dead_lettered_packets", "Packets given up and not replayed, deleted or not", dead);
  out.counter("redispatches_total", "Packets sent again after a failed attempt", state.retries);
}

function writeQueue(out: Exposition, state: StateGlance): void {
  const { queued, in_flight } = state;
  const { in_memory, capacity, capacity_bytes, oldest_age_seconds: age } = queued;
  out.gauge("queue_packets", "Packets that wait in memory", in_memory.packets);
  out.gauge("queue_messages", "Messages that wait, in memory or on disk", queued.messages);
  out.gauge("queue_bytes", "Bytes of the packets that wait in memory", in_memory.bytes);
  out.gauge("queue_capacity_packets", "Packets that may wait in memory", capacity);
  out.gauge(
    "queue_held_bytes",
    "Memory that accepted packets, bodies under way, and dead letters without a disk hold",
    queued.held_bytes,
  );
  out.gauge("queue_capacity_bytes", "Memory that they may hold", capacity_bytes);
  out.gauge("queue_oldest_age_seconds", "Age of the packet that waits longest", age);
  out.gauge("inflight_packets", "Packets in requests to analyzers", in_flight.packets);
  out.gauge("dead_letters", "Dead letters that wait for an operator", state.dead_letters);
  out.gauge("dead_letter_bytes", "Bytes that they hold", state.dead_letter_bytes);
  out.gauge(
    "dead_letter_max_bytes",
    "Bytes that they and the packets that wait beside them may hold",
    state.dead_letter_max_bytes,
  );
}

function writeSpool(out: Exposition, spool: SpoolView): void {
  out.gauge("spool_used_bytes", "Disk that the durable queue uses", spool.used_bytes);
  out.gauge("spool_max_bytes", "Disk that it may use", spool.max_bytes);
  out.gauge(
    "spool_arrivals_max_bytes",
    "Disk in use beyond which packets are refused; the rest is for dead letters",
    spool.arrivals_max_bytes,
  );
  out.gauge("spool_packets", "Packets that wait on disk alone", spool.packets_on_disk);
  out.counter("spool_commits_total", "Transactions", spool.commits);
  out.counter("spool_checkpoints_total", "Checkpoints of its log", spool.checkpoints);
}

/** A family with one sample an analyzer. */
type Column = readonly [
  name: string,
  type: "counter" | "gauge",
  help: string,
  value: (analyzer: AnalyzerGlance) => number,
];

const COLUMNS: readonly Column[] = [
  ["analyzer_weight", "gauge", "Configured weight", ({ weight }) => weight],
  ["analyzer_up", "gauge", "Whether it takes part in the draw", ({ eligible }) => +eligible],
  ["analyzer_paused", "gauge", "Whether it is paused", ({ paused }) => +paused],
  [
    "analyzer_weight_factor_ratio",
    "gauge",
    "Part of its weight that counts: below 1 in slow start, 0 while it is out",
    (analyzer) => analyzer.weight_factor,
  ],
  [
    "analyzer_share_target_ratio",
    "gauge",
    "Its fraction of the weights of those who take part",
    ({ share }) => share.target,
  ],
  [
    "analyzer_share_actual_ratio",
    "gauge",
    "Its fraction of the messages of the last minute",
    ({ share }) => share.actual,
  ],
  ["analyzer_inflight_packets", "gauge", "Packets in requests to it", (one) => one.in_flight],
  ["analyzer_ejections_total", "counter", "How often it was put out", (one) => one.ejections],
  [
    "analyzer_packets_delivered_total",
    "counter",
    "Packets that it has taken",
    ({ delivered }) => delivered.packets,
  ],
  [
    "messages_delivered_total",
    "counter",
    "Messages that it has taken",
    ({ delivered }) => delivered.messages,
  ],
];

function writeAnalyzers(out: Exposition, analyzers: readonly AnalyzerGlance[]): void {
  const named = analyzers.map((analyzer) => ({
    analyzer,
    label: encodeLabels(labelsOf({ analyzer: analyzer.id })),
  }));
  for (const [name, type, help, value] of COLUMNS) {
    out.family(name, type, help);
    for (const { analyzer, label } of named) out.sample(value(analyzer), label);
  }
  out.family("analyzer_status", "gauge", "1 for the one of these that it is");
  for (const { analyzer, label } of named) {
    for (const kind of STATUS_KINDS) {
      out.sample(+(analyzer.status.kind === kind), label, { more: `state="${kind}"` });
    }
  }
  out.family("deliveries_total", "counter", "Requests by outcome; one may carry many packets");
  for (const { analyzer, label } of named) {
    out.sample(analyzer.successes, label, { more: 'outcome="delivered"' });
    for (const failure of FAILURE_CLASSES) {
      out.sample(analyzer.failures[failure], label, { more: `outcome="${failure}"` });
    }
  }
  out.family("analyzer_delivery_seconds", "summary", "Of its successful requests");
  for (const { analyzer, label } of named) {
    out.sample(analyzer.success_seconds, label, { suffix: "_sum" })
      .sample(analyzer.successes, label, { suffix: "_count" });
  }
  out.family("probes_total", "counter", "Health checks by result");
  for (const { analyzer, label } of named) {
    out.sample(analyzer.probes.passed, label, { more: 'result="passed"' });
    out.sample(analyzer.probes.failed, label, { more: 'result="failed"' });
  }
}

function writeProcess(out: Exposition, parts: MetricsTextParts): void {
  const { state, usage, viewers, runtime, isReady } = parts;
  const { version, durability } = state;
  out.family("build_info", "gauge", "1, with what is running as labels")
    .sample(1, labelsOf({ version, runtime, durability }));
  out.gauge("ready", "Whether packets are taken, as /readyz says", +isReady);
  out.gauge("uptime_seconds", "Time since the start", state.uptime_seconds);
  out.gauge("viewers", "Who watches the stream of the dashboard", viewers);
  out.common("process_resident_memory_bytes", "gauge", "Resident memory")
    .sample(usage.residentBytes);
  out.gauge("heap_used_bytes", "JavaScript heap in use", usage.heapUsedBytes);
  out.gauge("heap_size_bytes", "JavaScript heap", usage.heapTotalBytes);
  out.common("process_start_time_seconds", "gauge", "When it started, since the Unix epoch")
    .sample(parts.startedAt);
  out.common("process_cpu_seconds_total", "counter", "Processor time").sample(usage.cpuSeconds);
  if (usage.openFiles !== undefined) {
    out.common("process_open_fds", "gauge", "Open file descriptors").sample(usage.openFiles);
  }
}
