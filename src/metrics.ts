/** What the distributor counts beside the queue's books, and the JSON that shows all of it. */

import type { AnalyzerGlance, AnalyzerView } from "./analyzer_view.ts";
import { roundMilli } from "./clock.ts";
import type { ErrorCode } from "./errors.ts";
import type { Count } from "./queue/ledger.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import type { Spool } from "./queue/spool.ts";

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
  /** What this process has let in: unlike `accepted`, without what it found at its start. */
  received: Count;
  rejected: { packets: number; by_code: Partial<Record<ErrorCode, number>> };
  delivered: { packets: number; messages: number };
  dead_lettered: { packets: number; messages: number };
  queued: Count & {
    /** Of these, what is in memory; the rest waits on disk alone. */
    in_memory: { packets: number; bytes: number };
    /** Packets that may be in memory. */
    capacity: number;
    /** Memory that accepted packets and bodies under way hold, and may hold. */
    held_bytes: number;
    capacity_bytes: number;
    oldest_age_seconds: number;
  };
  in_flight: { packets: number; messages: number };
  retries: number;
  /** Dead letters that wait for an operator now. */
  dead_letters: number;
  /** What they hold of the disk, with durability disk, else of the memory. */
  dead_letter_bytes: number;
  /** What they may hold, together with the packets that wait there. */
  dead_letter_max_bytes: number;
  /** With durability disk. */
  spool?: SpoolView;
  analyzers: AnalyzerView[];
  uptime_seconds: number;
  version: string;
  durability: string;
}

/** What the spool takes of the disk, and what it has done since the start. */
export interface SpoolView {
  used_bytes: number;
  max_bytes: number;
  /** Beyond, packets are refused; the rest is for dead letters. */
  arrivals_max_bytes: number;
  wal_bytes: number;
  /** Packets that wait on disk alone. */
  packets_on_disk: number;
  commits: number;
  checkpoints: number;
  /** Packets that could not be read back, and were put aside. */
  damaged_packets: number;
}

/** Reads everything that can be read, without changing any of it. */
export function readMetrics<View extends AnalyzerGlance>(
  queue: PacketQueue,
  rest: {
    ingest: IngestMetrics;
    spool: Pick<Spool, "sizes" | "lost"> | undefined;
    analyzers: View[];
    uptimeSeconds: number;
    version: string;
  },
): Omit<MetricsView, "analyzers"> & { analyzers: View[] } {
  const { ledger } = queue;
  const queued = ledger.count("queued");
  const spooled = ledger.count("spooled");
  return {
    accepted: { ...ledger.accepted },
    received: { ...ledger.received },
    rejected: { ...rest.ingest.rejected, by_code: { ...rest.ingest.rejected.by_code } },
    delivered: packetsAndMessages(ledger.count("delivered")),
    dead_lettered: packetsAndMessages(ledger.count("dead")),
    queued: {
      packets: queued.packets + spooled.packets,
      messages: queued.messages + spooled.messages,
      bytes: queued.bytes + spooled.bytes,
      in_memory: { packets: queued.packets, bytes: queued.bytes },
      capacity: queue.capacity,
      held_bytes: queue.heldBytes,
      capacity_bytes: queue.capacityBytes,
      oldest_age_seconds: roundMilli(queue.oldestAgeSeconds()),
    },
    in_flight: packetsAndMessages(ledger.count("in_flight")),
    retries: queue.retries,
    dead_letters: queue.deadLetters.size,
    dead_letter_bytes: queue.deadLetters.heldBytes,
    dead_letter_max_bytes: rest.spool?.sizes().maxBytes ?? queue.capacityBytes,
    ...(rest.spool ? { spool: viewSpool(rest.spool, spooled.packets) } : {}),
    analyzers: rest.analyzers,
    uptime_seconds: roundMilli(rest.uptimeSeconds),
    version: rest.version,
    durability: queue.durability,
  };
}

function viewSpool(
  spool: Pick<Spool, "sizes" | "lost">,
  packetsOnDisk: number,
): SpoolView {
  const sizes = spool.sizes();
  return {
    used_bytes: sizes.usedBytes,
    max_bytes: sizes.maxBytes,
    arrivals_max_bytes: sizes.arrivalsMaxBytes,
    wal_bytes: sizes.walBytes,
    packets_on_disk: packetsOnDisk,
    commits: sizes.commits,
    checkpoints: sizes.checkpoints,
    damaged_packets: spool.lost.packets,
  };
}

function packetsAndMessages(count: Readonly<Count>): { packets: number; messages: number } {
  return { packets: count.packets, messages: count.messages };
}
