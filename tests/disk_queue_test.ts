import { assert, assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../src/errors.ts";
import { memoryBytes, type Packet, sealPacket } from "../src/packet.ts";
import { DiskQueue } from "../src/queue/disk.ts";
import { seededRandom } from "../src/random.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { FakeSpool } from "./support/fake_spool.ts";

const VERDICT = { reason: "retries_exhausted", analyzer: "a", detail: "HTTP 500" } as const;
/** Received bytes of each packet here. */
const BODY_BYTES = 100;

function setup(
  options: { spool?: FakeSpool; capacity?: number; capacityBytes?: number } = {},
) {
  const { spool = new FakeSpool(), capacity = 100, capacityBytes = 1e9 } = options;
  const clock = new FakeClock({ monotonicMs: 1000 });
  const failures: Error[] = [];
  const say = () => {};
  const queue = new DiskQueue({ capacity, capacityBytes }, {
    spool,
    clock,
    log: { debug: say, info: say, warn: say, error: say, flush: say },
    onFailed: (error) => void failures.push(error),
  });
  return { queue, spool, clock, failures };
}

let packets = 0;

function createPacket(id = `packet-${packets++}`, messages = 1, bytes = BODY_BYTES): Packet {
  const body = new Uint8Array(bytes).fill(0x20);
  const shape = { messages, packetId: id, closeAt: bytes - 1, multiline: false };
  const options = { receivedAt: "2024-01-02T03:04:05.678Z", acceptedAtMs: 1000, newId: () => id };
  return sealPacket(body, shape, options);
}

/** What one of them takes in memory. */
const HELD_BYTES = memoryBytes(createPacket());

/** Lets in so many packets, as one group. */
function accept(queue: DiskQueue, count: number): string[] {
  return Array.from({ length: count }, () => {
    const packet = createPacket();
    assert(queue.reserve(BODY_BYTES));
    assert(queue.accept(packet, BODY_BYTES));
    return packet.id;
  });
}

/** Lets in one packet of a size. */
function acceptSized(queue: DiskQueue, bytes: number): boolean {
  return queue.reserve(bytes) && queue.accept(createPacket(undefined, 1, bytes), bytes);
}

/** Lets the event loop turn until nothing moves. */
async function pass(clock: FakeClock, ms = 0): Promise<void> {
  for (let i = 0; i < 20; i++) {
    clock.advance(i === 0 ? ms : 0);
    await Promise.resolve();
  }
}

/** Takes all that the channel has, and begins each one's attempt. */
function startAll(queue: DiskQueue): Packet[] {
  const taken: Packet[] = [];
  for (let packet = queue.channel.poll(); packet; packet = queue.channel.poll()) {
    queue.start(packet);
    taken.push(packet);
  }
  return taken;
}

/** Accepted, queued in memory, on disk alone, in flight, delivered, dead. */
function books({ ledger }: DiskQueue): number[] {
  const places = ["queued", "spooled", "in_flight", "delivered", "dead"] as const;
  return [ledger.accepted.packets, ...places.map((place) => ledger.count(place).packets)];
}

const ids = (list: readonly Packet[]) => list.map(({ id }) => id);

Deno.test("diskQueue.kept() resolves after the sync, not before", async () => {
  const spool = new FakeSpool({ holdSync: true });
  const { queue, clock } = setup({ spool });
  accept(queue, 2);
  let isKept = false;
  void queue.kept()!.then(() => isKept = true);
  assertEquals(spool.commits, 0);
  await pass(clock);
  assertEquals([spool.commits, isKept, books(queue)], [1, false, [2, 2, 0, 0, 0, 0]]);
  spool.endSync();
  await pass(clock);
  assert(isKept);
});

Deno.test("diskQueue commits together what arrives while a sync is under way", async () => {
  const spool = new FakeSpool({ holdSync: true });
  const { queue, clock } = setup({ spool });
  accept(queue, 1);
  const first = queue.kept()!;
  await pass(clock);
  accept(queue, 2);
  accept(queue, 3);
  const second = queue.kept()!;
  await pass(clock);
  assertEquals([spool.commits, spool.groups.size], [1, 1]);
  spool.endSync();
  await first;
  await pass(clock);
  assertEquals([spool.commits, spool.groups.get(2)!.size], [2, 5]);
  spool.endSync();
  await second;
});

Deno.test("diskQueue removes from disk what is delivered, soon or with the next commit", async () => {
  const { queue, clock, spool } = setup();
  accept(queue, 3);
  await pass(clock);
  const [a, b, c] = startAll(queue);
  queue.deliver(a!);
  queue.deliver(b!);
  assertEquals([spool.commits, spool.found.packets], [1, 3]);
  await pass(clock, 5);
  assertEquals([spool.commits, spool.found.packets], [2, 1]);
  queue.deliver(c!);
  accept(queue, 1);
  await pass(clock);
  assertEquals([spool.commits, spool.found.packets], [3, 1]);
  assertEquals(books(queue), [4, 1, 0, 0, 3, 0]);
});

Deno.test("diskQueue leaves on disk what does not fit in memory, and feeds it in order", async () => {
  const { queue, clock, spool } = setup({ capacity: 4, capacityBytes: 1e6 });
  const sent: string[] = [];
  for (let i = 0; i < 6; i++) {
    sent.push(...accept(queue, 3));
    await pass(clock);
  }
  assertEquals(books(queue), [18, 3, 15, 0, 0, 0]);
  const seen: string[] = [];
  while (seen.length < sent.length) {
    const taken = startAll(queue);
    assert(taken.length > 0 && taken.length <= 8, `${taken.length} at once`);
    for (const packet of taken) {
      seen.push(packet.id);
      queue.deliver(packet);
    }
    await pass(clock, 5);
  }
  assertEquals(seen, sent);
  assertEquals([books(queue), spool.groups.size], [[18, 0, 0, 0, 18, 0], 0]);
  assertEquals(queue.ledger.heldBytes, 0);
});

Deno.test("diskQueue holds no more than half of its memory in packets", async () => {
  const { queue, clock } = setup({ capacityBytes: 20 * HELD_BYTES });
  for (let i = 0; i < 50; i++) {
    accept(queue, 2);
    await pass(clock);
    assert(queue.ledger.heldBytes <= 10 * HELD_BYTES);
  }
  assertEquals(queue.ledger.count("queued").packets, 10);
  assert(queue.hasRoom(10 * HELD_BYTES), "a backlog on disk takes no memory");
});

Deno.test("diskQueue delivers a packet that is larger than its window, and what comes after it", async () => {
  const { queue, clock } = setup({ capacityBytes: 1 << 20 });
  assert(acceptSized(queue, 600 << 10));
  await pass(clock);
  for (let i = 0; i < 5; i++) assert(acceptSized(queue, BODY_BYTES));
  for (let i = 0; i < 3; i++) {
    await pass(clock, 5);
    for (const packet of startAll(queue)) queue.deliver(packet);
  }
  assertEquals(books(queue), [6, 0, 0, 0, 6, 0]);
});

Deno.test("diskQueue reads nothing back while bodies coming in hold the memory", async () => {
  const { queue, clock } = setup({ capacity: 2, capacityBytes: 1e6 });
  accept(queue, 1);
  await pass(clock);
  assert(acceptSized(queue, 600_000));
  await pass(clock);
  const others = 1e6 - 2 * HELD_BYTES;
  assert(queue.reserve(others));
  assert(queue.accept(createPacket()));
  queue.deliver(startAll(queue)[0]!);
  await pass(clock, 10);
  assertEquals(books(queue), [3, 0, 2, 0, 1, 0]);
  queue.release(others);
  for (let i = 0; i < 2; i++) {
    await pass(clock, 10);
    for (const packet of startAll(queue)) queue.deliver(packet);
  }
  await pass(clock, 10);
  assertEquals(books(queue), [3, 0, 0, 0, 3, 0]);
});

Deno.test("diskQueue.idle() waits for what is being committed, and close() loses none of it", async () => {
  const { queue, clock } = setup();
  accept(queue, 1);
  let isIdle: boolean | undefined;
  void queue.idle(1000).then((idle) => isIdle = idle);
  await pass(clock);
  assertEquals(isIdle, undefined, "it is in the channel by now");
  accept(queue, 1);
  queue.close();
  await pass(clock, 1000);
  assertEquals([isIdle, books(queue)], [false, [2, 2, 0, 0, 0, 0]]);
});

Deno.test("diskQueue.finish() refuses what it can no longer commit, and leaves nobody waiting", async () => {
  const spool = new FakeSpool({ holdSync: true });
  const { queue, clock } = setup({ spool });
  accept(queue, 1);
  await pass(clock);
  accept(queue, 1);
  const refused = assertRejects(() => queue.kept()!, ApiError);
  const finished = queue.finish();
  await pass(clock, 1000);
  await finished;
  assertEquals((await refused).code, "STORAGE_FAILED");
  assertEquals(queue.ledger.accepted.packets, 1);
});

Deno.test("diskQueue holds the memory of dead letters until they are written down", async () => {
  const { queue, clock, spool } = setup();
  accept(queue, 1);
  await pass(clock);
  const [packet] = startAll(queue);
  queue.bury(packet!, VERDICT);
  assertEquals(queue.ledger.heldBytes, HELD_BYTES);
  await pass(clock, 5);
  assertEquals([queue.ledger.heldBytes, spool.letters.size], [0, 1]);
});

Deno.test("diskQueue warns of many dead letters before they fill the disk", async () => {
  const { queue, clock, spool } = setup();
  spool.arrivalsMaxBytes = 300;
  accept(queue, 2);
  await pass(clock);
  for (const packet of startAll(queue)) queue.bury(packet, VERDICT);
  await pass(clock, 5);
  assert(queue.manyDeadLetters?.includes("replay or delete"));
});

Deno.test("diskQueue finds at its start what was not settled, and counts it as accepted", async () => {
  const before = setup();
  accept(before.queue, 5);
  await pass(before.clock);
  const [a, b] = startAll(before.queue);
  before.queue.deliver(a!);
  before.queue.bury(b!, VERDICT);
  await pass(before.clock, 5);
  const { queue, clock } = setup({ spool: new FakeSpool({ from: before.spool }) });
  assertEquals(books(queue), [4, 0, 3, 0, 0, 1]);
  await pass(clock);
  assertEquals(books(queue), [4, 3, 0, 0, 0, 1]);
  assertEquals(startAll(queue).length, 3);
});

Deno.test("diskQueue.bury() writes the dead letter with its verdict, attempts and time", async () => {
  const { queue, clock, spool } = setup();
  const [id] = accept(queue, 1);
  await pass(clock);
  const [packet] = startAll(queue);
  packet!.attempts = 5;
  queue.bury(packet!, VERDICT);
  assertEquals(queue.deadLetters.size, 1);
  const since = "2024-01-02T03:04:05.678Z";
  const { messages, bytes } = packet!;
  const kept = { ...VERDICT, packetId: id!, messages, bytes, since, attempts: 6 };
  const [info] = queue.deadLetters.list({ offset: 0, limit: 10 });
  assertEquals({ ...info, ...kept }, info as unknown);
  assertEquals(queue.deadLetters.bytesOf(id!)?.length, bytes);
  assertEquals([spool.groups.size, queue.ledger.heldBytes], [0, 0]);
  assertEquals(books(queue), [1, 0, 0, 0, 0, 1]);
});

Deno.test("diskQueue.replay() queues dead letters again; deleteDead() ends them", async () => {
  const { queue, clock } = setup();
  accept(queue, 4);
  await pass(clock);
  const all = startAll(queue);
  for (const packet of all) queue.bury(packet, VERDICT);
  const replayed = queue.replay({ ids: [all[1]!.id, all[2]!.id, "unknown"] });
  await pass(clock);
  assertEquals(await replayed, 2);
  assertEquals(books(queue), [4, 2, 0, 0, 0, 2]);
  assertEquals(ids(startAll(queue)), [all[1]!.id, all[2]!.id]);
  assertEquals(await queue.deleteDead({ reason: "rejected" }), 0);
  const deleted = queue.deleteDead({});
  await pass(clock);
  assertEquals(await deleted, 2);
  assertEquals([books(queue), queue.deadLetters.size], [[4, 0, 0, 2, 0, 2], 0]);
});

Deno.test("diskQueue refuses a group that a full disk did not take, settles on, and tries again", async () => {
  const { queue, clock, spool, failures } = setup();
  accept(queue, 1);
  await pass(clock);
  spool.trouble = "full";
  queue.deliver(startAll(queue)[0]!);
  accept(queue, 2);
  const kept = queue.kept()!;
  const refused = assertRejects(() => kept, ApiError, "full");
  await pass(clock);
  assertEquals((await refused).code, "QUEUE_FULL");
  assertEquals([spool.found.packets, queue.ledger.heldBytes], [0, 0]);
  assertEquals(books(queue), [1, 0, 0, 0, 1, 0]);
  assert(!queue.hasRoom() && !queue.isReady && queue.fullReason.includes("disk"));
  spool.trouble = "none";
  await pass(clock, 500);
  assert(queue.hasRoom() && queue.isReady);
  accept(queue, 1);
  const again = queue.kept();
  await pass(clock);
  await again;
  assertEquals([books(queue), failures], [[2, 1, 0, 0, 1, 0], []]);
});

Deno.test("diskQueue lets nothing in while its spool says that it is nearly full", async () => {
  const { queue, clock, spool } = setup();
  accept(queue, 1);
  spool.isNearlyFull = true;
  await pass(clock);
  assert(!queue.hasRoom());
  assert(!queue.accept(createPacket()));
  queue.deliver(startAll(queue)[0]!);
  await pass(clock, 5);
  assert(!queue.hasRoom());
  // All is settled: nothing is written any more that would notice that there is room again.
  spool.isNearlyFull = false;
  await pass(clock, 500);
  assert(queue.hasRoom() && queue.isReady);
});

for (const moment of ["commit", "sync"] as const) {
  Deno.test(`diskQueue acknowledges nothing after a ${moment} that failed, and says so once`, async () => {
    const spool = new FakeSpool({ holdSync: true });
    const { queue, clock, failures } = setup({ spool });
    if (moment === "commit") spool.trouble = "failed";
    accept(queue, 2);
    const kept = queue.kept()!;
    const refused = assertRejects(() => kept, ApiError);
    await pass(clock);
    if (moment === "sync") spool.endSync(new Error("I/O error"));
    assertEquals((await refused).code, "STORAGE_FAILED");
    assertEquals(failures.map(({ message }) => message), ["I/O error"]);
    assert(!queue.hasRoom() && !queue.isReady);
    assert(!queue.accept(createPacket()));
    await pass(clock, 1000);
    assertEquals(failures.length, 1);
  });
}

Deno.test("diskQueue takes a corrupt group out of its books and goes on with the next", async () => {
  const { queue, clock, spool } = setup({ capacity: 2 });
  accept(queue, 2);
  await pass(clock);
  accept(queue, 2);
  await pass(clock);
  const last = accept(queue, 1);
  await pass(clock);
  spool.corrupt.add(2);
  for (const packet of startAll(queue)) queue.deliver(packet);
  await pass(clock, 5);
  assertEquals(ids(startAll(queue)), last);
  assertEquals(books(queue), [3, 0, 0, 1, 2, 0]);
});

Deno.test("diskQueue.finish() writes down what is settled, and closes the spool", async () => {
  const { queue, clock, spool } = setup();
  accept(queue, 2);
  await pass(clock);
  queue.deliver(startAll(queue)[0]!);
  queue.close();
  await queue.finish();
  assertEquals([spool.found.packets, spool.isClosed, clock.timers], [1, true, 0]);
  assert(!queue.hasRoom());
});

Deno.test("diskQueue loses and doubles nothing, whatever happens, also over restarts", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = seededRandom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    let system = setup({ capacity: 8, capacityBytes: 40 * HELD_BYTES });
    let flying: Packet[] = [];
    const kept = new Set<string>();
    const done = new Map<string, number>();
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 2000; i++) {
      const { queue, clock, spool } = system;
      const kind = pick(10);
      if (kind < 3) {
        if (!queue.hasRoom(HELD_BYTES * 3)) continue;
        const names = accept(queue, 1 + pick(3));
        waiting.push(queue.kept()!.then(() => names.forEach((name) => kept.add(name)), () => {}));
      } else if (kind < 5) {
        const packet = queue.channel.poll();
        if (packet) {
          queue.start(packet);
          flying.push(packet);
        }
      } else if (kind < 8) {
        const packet = flying.splice(pick(flying.length), 1)[0];
        if (!packet) continue;
        const fate = random();
        if (fate < 0.6) {
          queue.deliver(packet);
          done.set(packet.id, (done.get(packet.id) ?? 0) + 1);
        } else if (fate < 0.8) queue.retry(packet, pick(3) * 50);
        else queue.bury(packet, VERDICT);
      } else if (kind === 8) await pass(clock, pick(20));
      else if (pick(20) === 0) spool.trouble = spool.trouble === "full" ? "none" : "full";
      else if (random() < 0.05) void queue.replay({}).catch(() => {});
      else if (pick(60) === 0) {
        await pass(clock, 5);
        system = setup({ spool: new FakeSpool({ from: spool }), capacity: 8 });
        flying = [];
      }
      const [accepted, ...places] = books(system.queue);
      assertEquals(accepted, places.reduce((a, b) => a + b), `step ${i}`);
    }
    const { queue, clock, spool } = system;
    spool.trouble = "none";
    for (const packet of flying) queue.retry(packet, 0);
    for (let turns = 0; turns < 500; turns++) {
      void queue.replay({});
      await pass(clock, 200);
      for (const packet of startAll(queue)) {
        queue.deliver(packet);
        done.set(packet.id, (done.get(packet.id) ?? 0) + 1);
      }
    }
    await Promise.all(waiting);
    assertEquals([...kept].filter((id) => !done.has(id)), [], `seed ${seed}: lost`);
    assertEquals([...done].filter(([, times]) => times > 1), [], `seed ${seed}: twice`);
    assertEquals([spool.found.packets, spool.letters.size], [0, 0]);
    assert(kept.size > 200, `seed ${seed}: ${kept.size}`);
  }
});
