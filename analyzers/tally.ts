/**
 * What a mock analyzer has processed: counters, and which packet ids how often.
 *
 * Only packets that were (or are about to be) answered 2xx count: this is the record that tests
 * hold against the distributor's. Ids live in two generations, so memory is bounded; an id that
 * was forgotten counts as distinct when it comes again.
 */

import type { LogPacket } from "../src/packet.ts";

/** The JSON of `GET /stats`. */
export interface Stats {
  id: string;
  packets: number;
  messages: number;
  /** Packets whose id had not been seen; those without an id are in neither of the two. */
  distinct_packets: number;
  repeated_packets: number;
  /** Of the bodies that were processed. */
  bytes: number;
  /** All `POST /analyze`, whatever their answer. */
  requests: number;
  batches: number;
  by_level: Record<string, number>;
  uptime_seconds: number;
}

export class Tally {
  readonly #generationSize: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #withoutId = 0;
  #packets = 0;
  #messages = 0;
  #distinct = 0;
  #repeated = 0;
  #bytes = 0;
  #requests = 0;
  #batches = 0;
  #byLevel = zeroByLevel();

  /** @param remember at most this many ids are kept, at least the newest half of them */
  constructor(remember: number) {
    this.#generationSize = Math.max(1, Math.floor(remember / 2));
  }

  countRequest(): void {
    this.#requests++;
  }

  countBatch(): void {
    this.#batches++;
  }

  countBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  countPacket(packet: LogPacket): void {
    this.#packets++;
    this.#messages += packet.log_messages.length;
    for (const { level } of packet.log_messages) {
      const counted = typeof level === "string" && level in this.#byLevel ? level : "OTHER";
      this.#byLevel[counted]!++;
    }
    if (typeof packet.packet_id === "string" && packet.packet_id !== "") {
      this.#countId(packet.packet_id);
    } else {
      this.#withoutId++;
    }
  }

  #countId(id: string): void {
    const generation = this.#young.has(id) ? this.#young : this.#old;
    const times = generation.get(id);
    if (times !== undefined) {
      generation.set(id, times + 1);
      this.#repeated++;
      return;
    }
    this.#distinct++;
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, 1);
  }

  /** How often each remembered packet id was processed; those without one are under "". */
  ids(): Map<string, number> {
    const ids = new Map([...this.#old, ...this.#young]);
    if (this.#withoutId > 0) ids.set("", this.#withoutId);
    return ids;
  }

  read(identity: { id: string; uptimeMs: number }): Stats {
    return {
      id: identity.id,
      packets: this.#packets,
      messages: this.#messages,
      distinct_packets: this.#distinct,
      repeated_packets: this.#repeated,
      bytes: this.#bytes,
      requests: this.#requests,
      batches: this.#batches,
      by_level: { ...this.#byLevel },
      uptime_seconds: Math.round(identity.uptimeMs) / 1000,
    };
  }

  reset(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#withoutId =
      this.#packets =
      this.#messages =
      this.#distinct =
      this.#repeated =
        0;
    this.#bytes = this.#requests = this.#batches = 0;
    this.#byLevel = zeroByLevel();
  }
}

/** Without a prototype, so that a level named "constructor" is not found in it. */
function zeroByLevel(): Record<string, number> {
  return Object.assign(Object.create(null), {
    DEBUG: 0,
    INFO: 0,
    WARNING: 0,
    ERROR: 0,
    FATAL: 0,
    OTHER: 0,
  });
}
