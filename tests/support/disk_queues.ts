/** Queues on a disk that is a fake, and packets to put in. */

import { assert } from "@std/assert";
import { memoryBytes, type Packet, sealPacket } from "../../src/packet.ts";
import { DiskQueue } from "../../src/queue/disk.ts";
import { FakeClock } from "./fake_clock.ts";
import { FakeSpool } from "./fake_spool.ts";

export const VERDICT = { reason: "retries_exhausted", analyzer: "a", detail: "HTTP 500" } as const;
/** Received bytes of each packet here. */
export const BODY_BYTES = 100;

export function setup(
  options: { spool?: FakeSpool; capacity?: number; capacityBytes?: number } = {},
) {
  const { spool = new FakeSpool(), capacity = 100, capacityBytes = 1e9 } = options;
  const clock = new FakeClock({ monotonicMs: 1000 });
  const failures: Error[] = [];
  const say = () => {};
  const queue = new DiskQueue({ capacity, capacityBytes }, {
    spool,
    clock,
    log: { debug: say, info: say, warn: say, error: say, end: () => Promise.resolve() },
    onFailed: (error) => void failures.push(error),
  });
  return { queue, spool, clock, failures };
}

let packets = 0;

export function createPacket(id = `packet-${packets++}`, messages = 1, bytes = BODY_BYTES): Packet {
  const body = new Uint8Array(bytes).fill(0x20);
  const shape = { messages, packetId: id, closeAt: bytes - 1, multiline: false };
  const options = { receivedAt: "2024-01-02T03:04:05.678Z", acceptedAtMs: 1000, newId: () => id };
  return sealPacket(body, shape, options);
}

/** What one of them takes in memory. */
export const HELD_BYTES = memoryBytes(createPacket());

/** Lets in so many packets, as one group. */
export function accept(queue: DiskQueue, count: number): string[] {
  return Array.from({ length: count }, () => {
    const packet = createPacket();
    assert(queue.reserve(BODY_BYTES));
    assert(queue.accept(packet, BODY_BYTES));
    return packet.id;
  });
}

/** Lets in one packet of a size. */
export function acceptSized(queue: DiskQueue, bytes: number): boolean {
  return queue.reserve(bytes) && queue.accept(createPacket(undefined, 1, bytes), bytes);
}

/** Lets the event loop turn until nothing moves. */
export async function pass(clock: FakeClock, ms = 0): Promise<void> {
  for (let i = 0; i < 20; i++) {
    clock.advance(i === 0 ? ms : 0);
    await Promise.resolve();
  }
}

/** Takes all that the channel has, and begins each one's attempt. */
export function startAll(queue: DiskQueue): Packet[] {
  const taken: Packet[] = [];
  for (let packet = queue.channel.poll(); packet; packet = queue.channel.poll()) {
    queue.start(packet);
    taken.push(packet);
  }
  return taken;
}

/** Accepted, queued in memory, on disk alone, in flight, delivered, dead. */
export function books({ ledger }: DiskQueue): number[] {
  const places = ["queued", "spooled", "in_flight", "delivered", "dead"] as const;
  return [ledger.accepted.packets, ...places.map((place) => ledger.count(place).packets)];
}

export const ids = (list: readonly Packet[]) => list.map(({ id }) => id);
