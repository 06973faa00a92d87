/**
 * The form of a group of packets in one blob.
 *
 *   packet = length of its bytes u32 · messages u32 · length of its id u16 · flags u16
 *          · accepted at, wall clock in ms, f64 · id · bytes          (all little-endian)
 * The checksum is seeded with the group's number, so that a group cannot pass for another.
 */

import { crc32 } from "node:zlib";
import { type Packet, type PacketRecord, writePacket } from "../packet.ts";

const HEAD_BYTES = 20;
const MULTILINE = 1;
/** UTF-8 bytes a UTF-16 unit takes, at most. */
const MAX_UTF8_BYTES = 3;
const FIRST_SCRATCH_BYTES = 1 << 20;
/** A scratch buffer that grew beyond this is not kept. */
const MAX_SCRATCH_BYTES = 16 << 20;

/** What is kept of one packet; its bytes are a copy, which holds nothing of the group. */
export interface TimedRecord extends PacketRecord {
  readonly acceptedWallMs: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Writes groups, into a buffer it uses again. */
export class GroupWriter {
  #scratch = new Uint8Array(FIRST_SCRATCH_BYTES);
  #view = new DataView(this.#scratch.buffer);

  /**
   * The blob of a group; valid until the next call.
   *
   * @param wallOffsetMs what turns the monotonic times of the packets into wall clock
   */
  write(packets: readonly Packet[], wallOffsetMs: number): Uint8Array<ArrayBuffer> {
    this.#reserve(packets);
    let at = 0;
    for (const packet of packets) {
      const { written } = encoder.encodeInto(packet.id, this.#scratch.subarray(at + HEAD_BYTES));
      this.#writeHead(at, packet, { idBytes: written, wallMs: packet.acceptedAtMs + wallOffsetMs });
      at = writePacket(packet, this.#scratch, at + HEAD_BYTES + written);
    }
    return this.#scratch.subarray(0, at);
  }

  #writeHead(
    at: number,
    packet: Packet,
    { idBytes, wallMs }: { idBytes: number; wallMs: number },
  ): void {
    this.#view.setUint32(at, packet.bytes, true);
    this.#view.setUint32(at + 4, packet.messages, true);
    this.#view.setUint16(at + 8, idBytes, true);
    this.#view.setUint16(at + 10, packet.multiline ? MULTILINE : 0, true);
    this.#view.setFloat64(at + 12, wallMs, true);
  }

  #reserve(packets: readonly Packet[]): void {
    let most = 0;
    for (const { id, bytes } of packets) most += HEAD_BYTES + id.length * MAX_UTF8_BYTES + bytes;
    const { length } = this.#scratch;
    if (most <= length && length <= MAX_SCRATCH_BYTES) return;
    if (most <= length && most > MAX_SCRATCH_BYTES) return;
    this.#scratch = new Uint8Array(Math.max(most, FIRST_SCRATCH_BYTES));
    this.#view = new DataView(this.#scratch.buffer);
  }
}

/** The checksum of a group's blob. */
export function checksum(blob: Uint8Array, group: number): number {
  return crc32(blob, group >>> 0);
}

/**
 * Reads a group's packets; undefined when the blob does not have the form.
 *
 * @param count how many packets there must be
 */
export function readGroup(blob: Uint8Array, count: number): TimedRecord[] | undefined {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const packets: TimedRecord[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + HEAD_BYTES > blob.length) return undefined;
    const idAt = at + HEAD_BYTES;
    const bytesAt = idAt + view.getUint16(at + 8, true);
    const end = bytesAt + view.getUint32(at, true);
    if (end > blob.length) return undefined;
    const id = decode(blob.subarray(idAt, bytesAt));
    if (id === undefined) return undefined;
    packets.push({
      id,
      messages: view.getUint32(at + 4, true),
      multiline: (view.getUint16(at + 10, true) & MULTILINE) !== 0,
      acceptedWallMs: view.getFloat64(at + 12, true),
      bytes: new Uint8Array(blob.subarray(bytesAt, end)),
    });
    at = end;
  }
  return packets.length === count ? packets : undefined;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
