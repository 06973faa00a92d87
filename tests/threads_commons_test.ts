import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../src/clock.ts";
import { scanFast } from "../src/fast_scanner.ts";
import { sealPacket } from "../src/packet.ts";
import { MemoryQueue } from "../src/queue/memory.ts";
import { Commons } from "../src/threads/commons.ts";

function createQueue(commons: Commons, capacity = 10): MemoryQueue {
  const { capacityBytes } = commons;
  return new MemoryQueue({ capacity, capacityBytes, beside: commons.beside() }, systemClock);
}

function makePacket(bytes: number) {
  const received = new TextEncoder().encode(`{"log_messages":[{"a":"${"x".repeat(bytes)}"}]}`);
  return sealPacket(received, scanFast(received), {
    receivedAt: "2026-01-01T00:00:00.000Z",
    acceptedAtMs: 0,
    newId: () => "id",
  });
}

Deno.test("commons.reserve() lets all threads together take no more than there is", () => {
  const commons = Commons.create(3, 1000);
  const same = new Commons(commons.buffer, 1000);
  assert(commons.reserve(1, 600));
  assert(!same.reserve(2, 401));
  assert(same.reserve(2, 400));
  assertEquals([commons.freeBytes, same.freeBytes], [0, 0]);
  same.release(2, 100);
  assertEquals(commons.freeBytes, 100);
  commons.reset(1);
  assertEquals(same.freeBytes, 700);
});

Deno.test("commons: the queue's bytes and those of the threads are the same bytes", () => {
  const commons = Commons.create(2, 10_000);
  const queue = createQueue(commons);
  assert(commons.reserve(1, 6000));
  assert(!queue.reserve(4001));
  assert(queue.reserve(4000));
  assert(!commons.reserve(1, 1));
  queue.release(4000);
  assert(commons.reserve(1, 4000));
  assert(!queue.hasRoom(1));
});

Deno.test("commons: a packet takes its reservation along from the thread to the queue", () => {
  const commons = Commons.create(2, 10_000);
  const queue = createQueue(commons);
  const packet = makePacket(3000);
  assert(commons.reserve(1, packet.body.length));
  queue.adopt(packet.body.length);
  commons.release(1, packet.body.length);
  assert(queue.accept(packet, packet.body.length));
  assertEquals(commons.freeBytes, 10_000 - packet.bytes - 512);
  queue.start(packet);
  queue.deliver(packet);
  assertEquals(commons.freeBytes, 10_000);
});

Deno.test("commons: what the queue cannot let in leaves nothing taken", () => {
  const commons = Commons.create(2, 10_000);
  const queue = createQueue(commons, 1);
  assert(queue.accept(makePacket(100)));
  const free = commons.freeBytes;
  assert(!queue.accept(makePacket(100)), "its one place is taken");
  assertEquals(commons.freeBytes, free);
});

Deno.test("commons tells all threads at once that it is shut, and that the queue is full", () => {
  const commons = Commons.create(2, 1000);
  const same = new Commons(commons.buffer, 1000);
  assertEquals([same.isOpen, same.isFull, same.threads], [true, false, 2]);
  commons.tellFull(true);
  commons.shut();
  assertEquals([same.isOpen, same.isFull], [false, true]);
});
