/**
 * Packets that travel together from one thread to another.
 *
 * Short bodies are written one after the other into one buffer and copied out of it on arrival, so
 * that no packet holds the memory of its companions; to hand over a buffer for each costs more.
 * Long ones travel in their own buffers, uncopied.
 */

import { type Packet, revivePacket, writePacket } from "../packet.ts";

/** A body up to this length costs less to copy twice than to hand over by itself. */
const SHORT_BYTES = 8192;

/** A sealed packet, the bytes that are reserved for its body, and the number of its answer. */
export interface Handover {
  readonly packet: Packet;
  readonly reservedBytes: number;
  readonly ticket: number;
}

/** What is sent. The lists run side by side, one entry for each packet. */
export interface Parcel {
  readonly ids: readonly string[];
  /** Empty where the body is short, and complete. */
  readonly tails: readonly string[];
  /** `FIELDS` numbers for each packet. */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** The short bodies. */
  readonly shorts: Uint8Array<ArrayBuffer>;
  /** The long ones, in the order of their packets. */
  readonly longs: readonly Uint8Array<ArrayBuffer>[];
}

const FIELDS = 5;
const [LENGTH, MESSAGES, MULTILINE, RESERVED, TICKET] = [0, 1, 2, 3, 4];

/** Packs packets; nobody may use their bodies here any more once the buffers were handed over. */
export function packParcel(
  handovers: readonly Handover[],
): { parcel: Parcel; buffers: ArrayBuffer[] } {
  const isShort = ({ packet }: Handover) => packet.bytes <= SHORT_BYTES;
  const longs = handovers.filter((one) => !isShort(one)).map(({ packet }) => ownBytes(packet));
  let length = 0;
  for (const one of handovers) if (isShort(one)) length += one.packet.bytes;
  const shorts = new Uint8Array(length);
  const numbers = new Float64Array(FIELDS * handovers.length);
  let offset = 0;
  handovers.forEach((one, i) => {
    const { packet, reservedBytes, ticket } = one;
    if (isShort(one)) offset = writePacket(packet, shorts, offset);
    const bodyLength = isShort(one) ? packet.bytes : packet.bodyLength;
    const multiline = packet.multiline ? 1 : 0;
    numbers.set([bodyLength, packet.messages, multiline, reservedBytes, ticket], FIELDS * i);
  });
  const parcel = {
    ids: handovers.map(({ packet }) => packet.id),
    tails: handovers.map((one) => isShort(one) ? "" : one.packet.tail),
    numbers,
    shorts,
    longs,
  };
  return { parcel, buffers: [numbers, shorts, ...longs].map(({ buffer }) => buffer) };
}

/** @param acceptedAtMs on the clock of the thread that unpacks */
export function unpackParcel(parcel: Parcel, acceptedAtMs: number): Handover[] {
  const { ids, tails, numbers, shorts, longs } = parcel;
  let offset = 0;
  let long = 0;
  return ids.map((id, i) => {
    const field = (index: number) => numbers[FIELDS * i + index]!;
    const [bodyLength, messages] = [field(LENGTH!), field(MESSAGES!)];
    const isShort = tails[i] === "";
    const record = {
      id,
      messages,
      multiline: field(MULTILINE!) === 1,
      bytes: isShort ? shorts.slice(offset, offset + bodyLength) : longs[long++]!,
    };
    if (isShort) offset += bodyLength;
    const packet = revivePacket(record, { acceptedAtMs });
    return {
      packet: isShort ? packet : withTail(packet, { bodyLength, tail: tails[i]! }),
      reservedBytes: field(RESERVED!),
      ticket: field(TICKET!),
    };
  });
}

/** The received bytes in a buffer that holds nothing else. */
function ownBytes({ body }: Packet): Uint8Array<ArrayBuffer> {
  return body.buffer instanceof ArrayBuffer && body.byteLength === body.buffer.byteLength
    ? body as Uint8Array<ArrayBuffer>
    : new Uint8Array(body);
}

function withTail(packet: Packet, part: { bodyLength: number; tail: string }): Packet {
  return { ...packet, ...part, bytes: part.bodyLength + part.tail.length };
}
