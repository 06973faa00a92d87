import { assert, assertEquals, assertThrows } from "@std/assert";
import { memoryBytes, type Packet, PACKET_OVERHEAD_BYTES, packetBytes } from "../src/packet.ts";
import { MemoryQueue } from "../src/queue/memory.ts";
import { books, createPacket, setup, startOne, VERDICT } from "./support/memory_queues.ts";

Deno.test("queue.accept() books a packet and hands it to the channel, in order", () => {
  const { queue } = setup();
  const [a, b] = [createPacket({ messages: 3, bytes: 50 }), createPacket()];
  assert(queue.accept(a) && queue.accept(b));
  assertEquals({ ...queue.ledger.accepted }, { packets: 2, messages: 4, bytes: 150 });
  assertEquals(books(queue), [2, 2, 0, 0, 0]);
  assertEquals([queue.channel.poll(), queue.channel.poll()], [a, b]);
  assertEquals(books(queue), [2, 2, 0, 0, 0], "who took it has not begun yet");
});

Deno.test("queue moves a packet from state to state and counts it in exactly one", () => {
  const { queue } = setup();
  const packet = startOne(queue);
  assertEquals(books(queue), [1, 0, 1, 0, 0]);
  queue.retry(packet, 0);
  assertEquals(books(queue), [1, 1, 0, 0, 0]);
  assertEquals(queue.retries, 1);
  assertEquals(queue.channel.poll(), packet);
  queue.start(packet);
  queue.deliver(packet);
  assertEquals(books(queue), [1, 0, 0, 1, 0]);
  queue.bury(startOne(queue), VERDICT);
  assertEquals(books(queue), [2, 0, 0, 1, 1]);
  assertEquals(queue.retries, 1, "only what is followed by another try is a retry");
});

Deno.test("queue throws where a packet would be settled twice, or unstarted, and keeps its books", () => {
  const moves: Record<string, (queue: MemoryQueue, packet: Packet) => void> = {
    start: (queue, packet) => queue.start(packet),
    deliver: (queue, packet) => queue.deliver(packet),
    retry: (queue, packet) => queue.retry(packet, 10),
    bury: (queue, packet) => queue.bury(packet, VERDICT),
    putBack: (queue, packet) => queue.putBack(packet),
  };
  const allowed: Record<Packet["state"], string[]> = {
    queued: ["start", "putBack"],
    in_flight: ["deliver", "retry", "bury"],
    delivered: [],
    dead: [],
  };
  for (const [state, names] of Object.entries(allowed) as [Packet["state"], string[]][]) {
    for (const [name, move] of Object.entries(moves)) {
      if (names.includes(name)) continue;
      const { queue, clock } = setup();
      const packet = startOne(queue);
      if (state === "queued") queue.retry(packet, 0);
      if (state === "delivered") queue.deliver(packet);
      if (state === "dead") queue.bury(packet, VERDICT);
      const before = books(queue);
      assertThrows(() => move(queue, packet), Error, `it is ${state}`, `${name} of ${state}`);
      assertEquals([books(queue), clock.timers], [before, 0], `${name} of ${state}`);
    }
  }
});

Deno.test("queue.accept() says no beyond its capacity in packets, waiting and delayed ones alike", () => {
  const { queue, clock } = setup({ capacity: 2 });
  const first = startOne(queue);
  assert(queue.accept(createPacket()));
  queue.retry(first, 500);
  assert(!queue.hasRoom());
  const refused = createPacket();
  assert(!queue.accept(refused));
  assertEquals(queue.ledger.accepted.packets, 2);
  queue.channel.poll();
  assert(!queue.accept(refused), "taken, but not begun");
  clock.advance(500);
  queue.start(queue.channel.poll()!);
  assert(queue.accept(refused));
});

Deno.test("queue.accept() says no beyond its capacity in bytes, dead letters and in flight included", () => {
  const each = memoryBytes(createPacket());
  assertEquals(each, 100 + PACKET_OVERHEAD_BYTES);
  const { queue } = setup({ capacityBytes: 3 * each });
  const [dead, flying] = [startOne(queue), startOne(queue)];
  queue.bury(dead, VERDICT);
  assert(!queue.hasRoom(each + 1));
  assert(queue.hasRoom(each));
  assert(queue.accept(createPacket()));
  assert(!queue.accept(createPacket()));
  queue.deliver(flying);
  assert(queue.accept(createPacket()), "what is delivered holds nothing");
  assertEquals(queue.ledger.heldBytes, 3 * each);
  assertEquals(queue.deleteDead({}).packets, 1);
  assertEquals(queue.ledger.heldBytes, 2 * each);
});

Deno.test("queue.retry() hands packets out when they are due, the earliest first", () => {
  const { queue, clock } = setup();
  const due: string[] = [];
  for (const delayMs of [300, 100, 200, 100.5, 30_000]) {
    queue.retry(startOne(queue, createPacket({ id: `after ${delayMs}` })), delayMs);
  }
  assertEquals(clock.timers, 1, "one timer for all");
  for (let ms = 0; ms < 400; ms++) {
    clock.advance(1);
    for (let packet = queue.channel.poll(); packet; packet = queue.channel.poll()) {
      due.push(`${packet.id} at ${clock.monotonicMs() - 1000}`);
    }
  }
  assertEquals(due, [
    "after 100 at 100",
    "after 100.5 at 101",
    "after 200 at 200",
    "after 300 at 300",
  ]);
  assertEquals(queue.ledger.count("queued").packets, 5);
  queue.close();
  assertEquals(clock.timers, 0);
});

Deno.test("queue.close() ends the channel, keeps the books, and no timer is set after it", async () => {
  const { queue, clock } = setup();
  const flying = startOne(queue);
  queue.accept(createPacket());
  queue.close();
  assert(!queue.accept(createPacket()));
  queue.retry(flying, 500);
  assertEquals([books(queue), clock.timers], [[2, 2, 0, 0, 0], 0]);
  assert(await queue.channel.take());
  assertEquals(await queue.channel.take(), undefined);
});

Deno.test("queue.bury() keeps the packet with its verdict, attempts and time", () => {
  const { queue } = setup();
  const packet = startOne(queue);
  packet.attempts = 5;
  queue.bury(packet, VERDICT);
  const since = "2024-01-02T03:04:05.678Z";
  const { id: packetId, messages, bytes } = packet;
  const kept = { ...VERDICT, packetId, messages, bytes, since, attempts: 6 };
  assertEquals(queue.deadLetters.list({ offset: 0, limit: 9 }), [kept]);
  assertEquals(queue.deadLetters.bytesOf(packetId), packetBytes(packet));
  assertEquals(queue.deadLetters.bytesOf("another"), undefined);
});

Deno.test("queue.replay() queues dead letters as new, beyond the capacity if need be", () => {
  const { queue } = setup({ capacity: 1 });
  const packet = startOne(queue);
  Object.assign(packet, { attempts: 5, rejections: 2, tried: [1, 2] });
  queue.bury(packet, VERDICT);
  assert(queue.accept(createPacket()));
  const replayed = queue.replay({ ids: [packet.id, "unknown"] });
  assertEquals(replayed, { packets: 1, notFound: ["unknown"] });
  assertEquals([packet.attempts, packet.rejections, packet.tried], [0, 0, []]);
  assertEquals(books(queue), [2, 2, 0, 0, 0]);
  assertEquals(queue.deadLetters.size, 0);
  assertEquals(queue.channel.poll(), packet);
  assertEquals(queue.replay({}).packets, 0);
});

Deno.test("queue.replay() queues what is named first to come out first", () => {
  const { queue } = setup();
  const packets = [startOne(queue), startOne(queue), startOne(queue)];
  for (const packet of packets) queue.bury(packet, VERDICT);
  const order = [packets[2]!, packets[0]!, packets[1]!];
  queue.replay({ ids: order.map(({ id }) => id) });
  assertEquals([queue.channel.poll(), queue.channel.poll(), queue.channel.poll()], order);
});

Deno.test("queue.deleteDead() frees memory; the deleted still count as dead lettered", () => {
  const { queue } = setup();
  queue.bury(startOne(queue), VERDICT);
  queue.bury(startOne(queue), { ...VERDICT, reason: "rejected" });
  assertEquals(queue.deleteDead({ reason: "rejected" }).packets, 1);
  assertEquals(queue.deleteDead({ reason: "rejected" }).packets, 0);
  assertEquals([books(queue), queue.deadLetters.size], [[2, 0, 0, 0, 2], 1]);
  assertEquals(queue.ledger.heldBytes, memoryBytes(createPacket()));
});

Deno.test("queue.oldestAgeSeconds() is of what waits longest, put back and delayed ones included", () => {
  const { queue, clock } = setup();
  assertEquals(queue.oldestAgeSeconds(), 0);
  const oldest = startOne(queue, createPacket({ atMs: 1000 }));
  clock.advance(2000);
  queue.accept(createPacket({ atMs: 3000 }));
  queue.accept(createPacket({ atMs: 3500 }));
  clock.advance(1000);
  assertEquals(queue.oldestAgeSeconds(), 1);
  queue.retry(oldest, 5000);
  assertEquals(queue.oldestAgeSeconds(), 3);
  clock.advance(5000);
  assertEquals(queue.oldestAgeSeconds(), 8);
  queue.close();
});

Deno.test("queue.oldestAgeSeconds() counts what waits in a lane, and a replayed packet anew", () => {
  const { queue, clock } = setup();
  const [drawn, dead] = [createPacket(), createPacket()];
  queue.accept(drawn);
  assertEquals(queue.channel.poll(), drawn);
  clock.advance(3000);
  assertEquals(queue.oldestAgeSeconds(), 3, "taken, and not begun");
  queue.bury(startOne(queue, dead), VERDICT);
  queue.start(drawn);
  assertEquals(queue.oldestAgeSeconds(), 0, "in flight");
  queue.deliver(drawn);
  clock.advance(4000);
  queue.replay({});
  assertEquals(queue.oldestAgeSeconds(), 0);
  clock.advance(1000);
  assertEquals(queue.oldestAgeSeconds(), 1);
});

Deno.test("queue.roomAgain() wakes when there is room, and gives up after its time", async () => {
  const { queue, clock } = setup({ capacity: 1 });
  const packet = createPacket();
  queue.accept(packet);
  const waiting = queue.roomAgain(0, 50);
  queue.start(queue.channel.poll()!);
  await waiting;
  assertEquals(clock.timers, 0);
  queue.retry(packet, 0);
  const vain = queue.roomAgain(0, 50);
  clock.advance(50);
  await vain;
  assert(!queue.hasRoom());
});

Deno.test("queue.roomAgain() wakes as many as there is room for, those that wait longest first", async () => {
  const each = memoryBytes(createPacket());
  const { queue, clock } = setup({ capacityBytes: 4 * each });
  const flying = Array.from({ length: 4 }, () => startOne(queue));
  const woken: string[] = [];
  const wait = async (name: string, bytes: number) => {
    await queue.roomAgain(bytes, 50);
    woken.push(name);
  };
  const waiting = [wait("large", 2 * each), wait("small", each), wait("last", each)];
  queue.deliver(flying[0]!);
  assertEquals(clock.timers, 3, "nobody passes by the first");
  queue.deliver(flying[1]!);
  await waiting[0];
  assertEquals([woken, clock.timers], [["large"], 2]);
  assert(queue.reserve(2 * each));
  queue.deliver(flying[2]!);
  await waiting[1];
  clock.advance(50);
  await waiting[2];
  assertEquals(woken, ["large", "small", "last"]);
});

Deno.test("queue.reserve() takes from the same bytes as packets, and accept() gives back", () => {
  const each = memoryBytes(createPacket());
  const { queue } = setup({ capacityBytes: 2 * each });
  assert(queue.reserve(2 * each));
  assert(!queue.reserve(1));
  assert(!queue.hasRoom(1));
  assert(!queue.accept(createPacket()));
  assert(queue.accept(createPacket(), each), "what is reserved for it counts as free for it");
  assert(!queue.reserve(1));
  queue.release(each);
  assert(queue.reserve(each));
});

Deno.test("queue.isReady is false while a packet of the average size would be refused", () => {
  const each = memoryBytes(createPacket());
  const { queue } = setup({ capacityBytes: 3.5 * each });
  assert(queue.isReady);
  for (let count = 0; count < 3; count++) {
    assert(queue.isReady);
    queue.bury(startOne(queue), VERDICT);
  }
  assert(!queue.isReady);
  assertEquals(
    queue.fullReason,
    "dead letters hold the memory that packets need: replay or delete them",
  );
  queue.deleteDead({});
  assert(queue.isReady);
  const crowded = setup({ capacity: 1 }).queue;
  crowded.accept(createPacket());
  assertEquals([crowded.isReady, crowded.fullReason], [false, "the queue is full"]);
});

Deno.test("queue.releaseDelayed() has every back-off end in time for the drain", () => {
  const { queue, clock } = setup();
  const [early, late] = [startOne(queue), startOne(queue)];
  queue.retry(early, 1000);
  queue.retry(late, 30_000);
  queue.releaseDelayed(8000);
  assertEquals([queue.channel.depth, clock.timers], [2, 0]);
  for (const delayMs of [2000, 1500, 1125]) {
    const packet = queue.channel.poll()!;
    queue.start(packet);
    queue.retry(packet, 30_000);
    clock.advance(delayMs - 1);
    assertEquals(queue.channel.depth, 1, "a quarter of the time that is left");
    clock.advance(1);
    assertEquals(queue.channel.depth, 2);
  }
  clock.advance(10_000);
  const packet = queue.channel.poll()!;
  queue.start(packet);
  queue.retry(packet, 10);
  clock.advance(10);
  assertEquals(queue.channel.depth, 2, "a shorter back-off stays");
});

Deno.test("queue.idle() resolves once nothing is queued nor in flight, or after its time", async () => {
  const { queue, clock } = setup();
  assert(await queue.idle(0));
  const packet = startOne(queue);
  assert(!await queue.idle(0));
  const late = queue.idle(100);
  clock.advance(100);
  assert(!await late);
  queue.retry(packet, 40);
  const idle = queue.idle(1000);
  clock.advance(40);
  queue.start(queue.channel.poll()!);
  queue.deliver(packet);
  assert(await idle);
  assertEquals(clock.timers, 0);
});
