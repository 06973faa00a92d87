/** Spools in temporary folders, and packets to put in. */

import type { Log } from "../../src/log.ts";
import type { Packet, PacketRef } from "../../src/packet.ts";
import type { DeadReason } from "../../src/queue/dead_letter.ts";
import {
  type DeadRow,
  Spool,
  type SpoolOptions,
  type StoredPacket,
  type Totals,
} from "../../src/queue/spool.ts";
import { FakeClock } from "./fake_clock.ts";

export interface LogEntry {
  readonly level: string;
  readonly event: string;
  readonly fields: unknown;
}

/** A log that keeps what it is told. */
export function createMemoryLog(): Log & { entries: LogEntry[] } {
  const entries: LogEntry[] = [];
  const at = (level: string) => (event: string, fields?: unknown) =>
    void entries.push({ level, event, fields });
  return {
    entries,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    end: () => Promise.resolve(),
  };
}

/** A folder that goes with its test. */
export class TempFolder {
  readonly path = Deno.makeTempDirSync({ prefix: "spool_test_" });

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }

  files(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  /** Copies database and log elsewhere: what a killed process would have left. */
  copyTo(folder: string): void {
    for (const name of ["spool.db", "spool.db-wal"]) {
      try {
        Deno.copyFileSync(`${this.path}/${name}`, `${folder}/${name}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

export function openSpool(folder: string, options: Partial<SpoolOptions> = {}): Spool {
  return Spool.open({
    folder,
    maxBytes: 1 << 30,
    clock: new FakeClock(),
    log: createMemoryLog(),
    ...options,
  });
}

const encoder = new TextEncoder();

/** A packet whose bytes follow from its id. */
export function makePacket(
  id: string,
  options: { bytes?: number; messages?: number } = {},
): Packet {
  const { bytes = 60, messages = 1 } = options;
  const tail = `,"received_at":"2024-01-02T03:04:05.678Z"}`;
  const body = encoder.encode(`{"packet_id":${JSON.stringify(id)},"x":"`.padEnd(bytes, "x") + '"}');
  const bodyLength = body.length - 1;
  return {
    id,
    body,
    bodyLength,
    tail,
    messages,
    bytes: bodyLength + tail.length,
    acceptedAtMs: 0,
    multiline: false,
    state: "queued",
    attempts: 0,
    rejections: 0,
    tried: [],
  };
}

export function makePackets(count: number, prefix = "p", bytes = 60): Packet[] {
  return Array.from({ length: count }, (_, i) => makePacket(`${prefix}${i}`, { bytes }));
}

/** Commits arrivals alone; returns where each is kept. */
export function put(spool: Spool, packets: readonly Packet[]): PacketRef[] {
  const group = spool.commit({ arrivals: packets, settled: [], dead: [] });
  return packets.map((_, index) => ({ group, index }));
}

export function settle(spool: Spool, refs: readonly PacketRef[]): void {
  spool.commit({ arrivals: [], settled: refs, dead: [] });
}

export function deadRow(
  ref: PacketRef,
  packet: Packet,
  reason: DeadReason = "rejected",
): DeadRow {
  const verdict = { reason, analyzer: "a", detail: "HTTP 422" };
  return { ref, packet, verdict, since: "2024-01-02T03:04:05.678Z", attempts: 2 };
}

export function bury(spool: Spool, rows: readonly DeadRow[]): void {
  spool.commit({ arrivals: [], settled: [], dead: rows });
}

/** Replays or deletes dead letters to the end; returns how many that were. */
export function takeParts(parts: Iterable<Totals>): number {
  let count = 0;
  for (const { packets } of parts) count += packets;
  return count;
}

/** All that is not settled, oldest first. */
export function loadAll(spool: Spool, maxBytes = 1 << 20): StoredPacket[] {
  const packets: StoredPacket[] = [];
  let after = 0;
  for (;;) {
    const groups = spool.load({ afterGroup: after, maxBytes });
    if (groups.length === 0) return packets;
    after = groups.at(-1)!.group;
    for (const group of groups) packets.push(...group.packets);
  }
}

export function idsOf(packets: readonly { id: string }[]): string[] {
  return packets.map(({ id }) => id);
}
