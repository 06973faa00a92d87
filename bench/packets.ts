/** Packets for wrk: the generator's own, all of one length so that lengths can count them. */

import { PacketFactory } from "../generator/packets.ts";

/** Different packets that are sent in turn. */
const COUNT = 64;
const MIN_FILLER = 8;

/** Makes packets of `messages` messages and equal length, `count` different ones. */
export function makePackets(messages: number, count = COUNT): Uint8Array[] {
  const factory = new PacketFactory({
    agent: "web-frontend-7d9f8b6c5d-x2kqp",
    runId: "0a1b2c3d",
    seed: messages,
    batch: { min: messages, max: messages },
  });
  const decoder = new TextDecoder();
  const texts = Array.from({ length: count }, () => decoder.decode(factory.next(START_MS).body));
  const longest = Math.max(...texts.map((text) => text.length));
  const encoder = new TextEncoder();
  return texts.map((text) => encoder.encode(fill(text, longest - text.length + MIN_FILLER)));
}

const START_MS = Date.UTC(2026, 0, 1);

/** A packet ends with its metadata: one more entry there makes it longer. */
function fill(text: string, count: number): string {
  if (!text.endsWith("}}")) throw new Error(`Cannot lengthen a packet that ends otherwise`);
  return `${text.slice(0, -2)},"build":"${"0123456789abcdef".repeat(64).slice(0, count)}"}}`;
}

/** What the distributor appends in place of the closing brace. */
const RECEIVED_AT = `,"received_at":"2026-01-01T00:00:00.000Z"}`;

/** Length of a packet as the distributor delivers it. */
export function deliveredLength(sentBytes: number): number {
  return sentBytes - 1 + RECEIVED_AT.length;
}
