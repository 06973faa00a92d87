/**
 * Scans packets in WebAssembly, at a third of the cost, and in TypeScript where that is not sure.
 *
 * Called by ingest. Always true: the result, and every error, is that of `packet_scanner.ts`.
 */

import { type PacketShape, scanPacket } from "./packet_scanner.ts";
import {
  memory,
  readCloseAt,
  readFlags,
  readIdEnd,
  readIdStart,
  reserve,
  scan,
} from "./wasm/packet_scanner.wasm";

const NON_ASCII = 1;
const MULTILINE = 2;
const BACKSLASH = 0x5c;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
let view = new Uint8Array(memory.buffer);

/**
 * Scans one packet.
 *
 * @throws {ApiError} as {@link scanPacket}
 */
export function scanFast(bytes: Uint8Array): PacketShape {
  const start = reserve(bytes.length);
  if (start === 0) return scanPacket(bytes);
  // Growing the memory detaches its old buffer.
  if (view.length === 0 || view.buffer !== memory.buffer) view = new Uint8Array(memory.buffer);
  view.set(bytes, start);
  const messages = scan(bytes.length);
  if (messages === 0) return scanPacket(bytes);
  const flags = readFlags();
  if ((flags & NON_ASCII) !== 0 && !isUtf8(bytes)) return scanPacket(bytes);
  return {
    messages,
    packetId: readId(bytes, (flags & NON_ASCII) === 0),
    closeAt: readCloseAt(),
    multiline: (flags & MULTILINE) !== 0,
  };
}

function readId(bytes: Uint8Array, isAscii: boolean): string | undefined {
  const start = readIdStart();
  if (start < 0) return undefined;
  const id = bytes.subarray(start + 1, readIdEnd() - 1);
  // Rare: what an escape spells is for the other scanner to judge.
  if (id.includes(BACKSLASH)) return scanPacket(bytes).packetId;
  // Of so few bytes a string is made faster here than by the decoder.
  return isAscii ? String.fromCharCode.apply(null, id as unknown as number[]) : decoder.decode(id);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
