/** What the distributor counts beside the queue's books, and the JSON that shows all of it. */

import type { AnalyzerGlance, AnalyzerView } from "./analyzer_view.ts";
import { roundMilli } from "./clock.ts";
import type { ErrorCode } from "./errors.ts";
import type { Count } from "./queue/ledger.ts";
import type { MemoryQueue } from "./queue/memory.ts";

/** What ingest refused, by code. */
export class IngestMetrics {
  readonly rejected = { packets: 0, by_code: {} as Partial<Record<ErrorCode, number>> };

  reject(code: ErrorCode): void {
    this.rejected.packets++;
    this.rejected.by_code[code] = (this.rejected.by_code[code] ?? 0) + 1;
  }
}

/**
 * The answer of `GET /api/v1/metrics`. Counts since start; all of one moment, so that
 * accepted = delivered + dead_lettered + queued + in_flight holds exactly.
 */
export interface MetricsView {
  accepted: Count;
  rejected: { packets: number; by_code: Partial<Record<ErrorCode, number>> };
  delivered: { packets: number; messages: number };
  dead_lettered: { packets: number; messages: number };
  queued: Count & { capacity: number; capacity_bytes: number; oldest_age_seconds: number };
  in_flight: { packets: number; messages: number };
  retries: number;
  /** The durable queue's use of the disk; absent where there is none. */
  spool?: SpoolView;
  /** Dead letters that wait for an operator now. */
  dead_letters: number;
  analyzers: AnalyzerView[];
  uptime_seconds: number;
  version: string;
  durability: string;
}

/** What a durable queue keeps on disk. */
export interface SpoolView {
  used_bytes: number;
  max_bytes: number;
  packets_on_disk: number;
  /** Since start: transactions committed and synced, and checkpoints of the log. */
  commits: number;
  checkpoints: number;
}

/** Reads everything that can be read, without changing any of it. */
export function readMetrics<View extends AnalyzerGlance>(
  queue: MemoryQueue,
  rest: {
    ingest: IngestMetrics;
    analyzers: View[];
    uptimeSeconds: number;
    version: string;
  },
): Omit<MetricsView, "analyzers"> & { analyzers: View[] } {
  const { ledger } = queue;
  return {
    accepted: { ...ledger.accepted },
    rejected: { ...rest.ingest.rejected, by_code: { ...rest.ingest.rejected.by_code } },
    delivered: packetsAndMessages(ledger.count("delivered")),
    dead_lettered: packetsAndMessages(ledger.count("dead")),
    queued: {
      ...ledger.count("queued"),
      capacity: queue.capacity,
      capacity_bytes: queue.capacityBytes,
      oldest_age_seconds: roundMilli(queue.oldestAgeSeconds()),
    },
    in_flight: packetsAndMessages(ledger.count("in_flight")),
    retries: queue.retries,
    dead_letters: queue.deadLetters.size,
    analyzers: rest.analyzers,
    uptime_seconds: roundMilli(rest.uptimeSeconds),
    version: rest.version,
    durability: queue.durability,
  };
}

function packetsAndMessages(count: Readonly<Count>): { packets: number; messages: number } {
  return { packets: count.packets, messages: count.messages };
}
