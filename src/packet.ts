/**
 * A log packet: its wire form, and what the distributor keeps of one.
 *
 * A packet is kept as the bytes that came in (`body`), of which the last, the closing brace, gives
 * way to a short text (`tail`) with what the distributor appends.
 */

import type { PacketShape } from "./packet_scanner.ts";

/** One log entry. Every field is optional on the wire; ours always sends them all. */
export interface LogMessage {
  id: string;
  /** RFC 3339. */
  timestamp: string;
  level: "DEBUG" | "INFO" | "WARNING" | "ERROR" | "FATAL";
  source: string;
  message: string;
  metadata: Record<string, unknown>;
}

/** What an agent sends. Only `log_messages` must be there. */
export interface LogPacket {
  packet_id?: string;
  agent_id?: string;
  /** RFC 3339. */
  sent_at?: string;
  log_messages: LogMessage[];
  metadata?: Record<string, unknown>;
}

/** Where an accepted packet is: waiting, being posted, given up, or gone. */
export type PacketState = "queued" | "in_flight" | "dead" | "delivered";

/** Where a packet is kept on disk: the group it was committed with, and its place there. */
export interface PacketRef {
  readonly group: number;
  /** Its place in the group, from 0. */
  readonly index: number;
}

/** An accepted packet. Its bytes never change; the rest is the bookkeeping of its delivery. */
export interface Packet {
  readonly id: string;
  /** The received bytes. Those from `bodyLength` on, the closing brace first, give way to `tail`. */
  readonly body: Uint8Array;
  readonly bodyLength: number;
  /** What ends the packet: `,"received_at":"…"}`. ASCII; empty where `body` is complete. */
  readonly tail: string;
  readonly messages: number;
  /** Length of what an analyzer receives, in bytes. */
  readonly bytes: number;
  /** On the monotonic clock; of a dead letter that was replayed, since then. */
  acceptedAtMs: number;
  /** Holds line breaks between its tokens, which an NDJSON batch cannot. */
  readonly multiline: boolean;
  state: PacketState;
  /** Failed attempts that count towards `--max-retries`. */
  attempts: number;
  /** Analyzers that called it malformed. */
  rejections: number;
  /** Ids of the analyzers at which an attempt failed. */
  tried: string[];
  /** Where it is on disk; undefined while it is in memory alone. */
  ref?: PacketRef | undefined;
  /** Its neighbours among the arrivals; only the queue writes them. */
  older?: Packet | undefined;
  newer?: Packet | undefined;
}

/** Bytes a packet takes beside its body: objects, strings and the queue's cells. */
export const PACKET_OVERHEAD_BYTES = 512;

/** Bytes of memory a packet is counted with. */
export function memoryBytes(packet: Packet): number {
  return packet.bytes + PACKET_OVERHEAD_BYTES;
}

/**
 * Makes the packet that is queued from received bytes and what the scanner found in them.
 *
 * @param receivedAt RFC 3339, appended as the last member
 * @param newId gives an id where the agent sent none; that id is appended too
 */
export function sealPacket(
  received: Uint8Array,
  shape: PacketShape,
  options: { receivedAt: string; acceptedAtMs: number; newId: () => string },
): Packet {
  const id = shape.packetId ?? options.newId();
  const end = `,"received_at":"${options.receivedAt}"}`;
  const tail = shape.packetId === undefined ? `,"packet_id":"${id}"${end}` : end;
  // What is kept beside the packet is not counted, so it must not be large: blanks that follow, or
  // the rest of a buffer that a gzip body was inflated into.
  const fits = received.buffer.byteLength - shape.closeAt <= tail.length;
  return {
    id,
    // Not slice(): of the Buffer that zlib gives, that is no copy.
    body: fits ? received : new Uint8Array(received.subarray(0, shape.closeAt)),
    bodyLength: shape.closeAt,
    tail,
    messages: shape.messages,
    bytes: shape.closeAt + tail.length,
    acceptedAtMs: options.acceptedAtMs,
    multiline: shape.multiline,
    state: "queued",
    attempts: 0,
    rejections: 0,
    tried: [],
    ref: undefined,
    older: undefined,
    newer: undefined,
  };
}

/** What is read back of a packet: its bytes are complete, with what was once appended. */
export interface PacketRecord {
  readonly id: string;
  readonly messages: number;
  readonly multiline: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Makes the packet that is queued again from what was read back. */
export function revivePacket(
  { id, messages, multiline, bytes }: PacketRecord,
  { ref, acceptedAtMs }: { ref?: PacketRef; acceptedAtMs: number },
): Packet {
  return {
    id,
    body: bytes,
    bodyLength: bytes.length,
    tail: "",
    messages,
    bytes: bytes.length,
    acceptedAtMs,
    multiline,
    state: "queued",
    attempts: 0,
    rejections: 0,
    tried: [],
    ref,
    older: undefined,
    newer: undefined,
  };
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/** Writes a packet's bytes into `target` at `offset`; returns the offset after them. */
export function writePacket(packet: Packet, target: Uint8Array, offset: number): number {
  target.set(packet.body, offset);
  const { tail } = packet;
  let at = offset + packet.bodyLength;
  // Faster for so few characters than an encoder.
  for (let i = 0; i < tail.length; i++) target[at++] = tail.charCodeAt(i);
  return at;
}

/** The length of several packets as NDJSON. */
export function batchLength(packets: readonly Packet[]): number {
  let length = 0;
  for (const packet of packets) length += packet.bytes + 1;
  return length;
}

/** Writes several packets as NDJSON, one a line, into `target` at `offset`. */
export function writeBatch(packets: readonly Packet[], target: Uint8Array, offset: number): void {
  let at = offset;
  for (const packet of packets) {
    const start = at;
    at = writePacket(packet, target, start);
    if (packet.multiline) blankLineBreaks(target.subarray(start, at));
    target[at++] = NEWLINE;
  }
}

/** The bytes of one packet, as an analyzer receives them alone. */
export function packetBytes(packet: Packet): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(packet.bytes);
  writePacket(packet, bytes, 0);
  return bytes;
}

/** Raw line breaks can only stand between tokens (strings must escape them): a space is as good. */
export function blankLineBreaks(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === NEWLINE || bytes[i] === CARRIAGE_RETURN) bytes[i] = SPACE;
  }
}
