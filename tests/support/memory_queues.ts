/** Queues in memory, and packets to put in. */

import { assert, assertEquals } from "@std/assert";
import { type Packet, sealPacket } from "../../src/packet.ts";
import { MemoryQueue } from "../../src/queue/memory.ts";
import { FakeClock } from "./fake_clock.ts";

export const VERDICT = { reason: "retries_exhausted", analyzer: "a", detail: "HTTP 500" } as const;

export function setup(options: { capacity?: number; capacityBytes?: number } = {}) {
  const clock = new FakeClock({ monotonicMs: 1000 });
  const queue = new MemoryQueue({ capacity: 100, capacityBytes: 1e9, ...options }, clock);
  return { clock, queue };
}

let packets = 0;

export function createPacket(
  change: { id?: string; messages?: number; bytes?: number; atMs?: number } = {},
): Packet {
  const { id = `packet-${packets++}`, messages = 1, bytes = 100, atMs = 1000 } = change;
  const shape = { messages, packetId: id, closeAt: 0, multiline: false };
  const options = { receivedAt: "", acceptedAtMs: atMs, newId: () => id };
  return { ...sealPacket(new Uint8Array(1), shape, options), bytes };
}

/** Accepts a packet and begins its attempt. */
export function startOne(queue: MemoryQueue, packet = createPacket()): Packet {
  assert(queue.accept(packet));
  assertEquals(queue.channel.poll(), packet);
  queue.start(packet);
  return packet;
}

/** Packets by state: accepted, queued, in flight, delivered, dead. */
export function books({ ledger }: MemoryQueue): number[] {
  const states = ["queued", "in_flight", "delivered", "dead"] as const;
  return [ledger.accepted.packets, ...states.map((state) => ledger.count(state).packets)];
}
