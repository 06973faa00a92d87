import { assert, assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../src/errors.ts";
import { StorageError } from "../src/queue/storage_error.ts";
import {
  accept,
  acceptSized,
  BODY_BYTES,
  books,
  createPacket,
  HELD_BYTES,
  ids,
  pass,
  setup,
  startAll,
  VERDICT,
} from "./support/disk_queues.ts";
import { FakeSpool } from "./support/fake_spool.ts";
import { makePacket } from "./support/spools.ts";

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

Deno.test("diskQueue reads on when the memory of a dead letter is free again", async () => {
  const { queue, clock } = setup({ capacity: 100, capacityBytes: 16e6 });
  for (let i = 0; i < 4; i++) {
    assert(queue.accept(makePacket(`large-${i}`, { bytes: 4_100_000 })));
    await pass(clock);
  }
  for (let left = 4; left > 0; left--) {
    const [packet] = startAll(queue);
    assert(packet, `${left} are left`);
    queue.bury(packet, VERDICT);
    await pass(clock, 10);
  }
});

Deno.test("diskQueue ends an order when it drains, after the step that it is at", async () => {
  const { queue, clock } = setup();
  accept(queue, 4);
  await pass(clock);
  for (const packet of startAll(queue)) queue.bury(packet, VERDICT);
  const replayed = assertRejects(() => queue.replay({}) as Promise<unknown>, ApiError);
  queue.releaseDelayed(1000);
  await pass(clock);
  assertEquals((await replayed).code, "DRAINING");
  assertEquals(books(queue), [4, 1, 0, 0, 0, 3]);
});

Deno.test("diskQueue.replay() queues dead letters again; deleteDead() ends them", async () => {
  const { queue, clock } = setup();
  accept(queue, 4);
  await pass(clock);
  const all = startAll(queue);
  for (const packet of all) queue.bury(packet, VERDICT);
  const replayed = queue.replay({ ids: [all[1]!.id, all[2]!.id, "unknown"] });
  await pass(clock);
  assertEquals(await replayed, { packets: 2, notFound: ["unknown"] });
  assertEquals(books(queue), [4, 2, 0, 0, 0, 2]);
  assertEquals(ids(startAll(queue)), [all[1]!.id, all[2]!.id]);
  assertEquals((await queue.deleteDead({ reason: "rejected" })).packets, 0);
  const deleted = queue.deleteDead({});
  await pass(clock);
  assertEquals((await deleted).packets, 2);
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
  assert(!queue.hasRoom() && !queue.isReady);
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

Deno.test("diskQueue acknowledges nothing that is being synced when something else fails", async () => {
  const spool = new FakeSpool({ holdSync: true });
  const { queue, clock, failures } = setup({ spool });
  accept(queue, 1);
  const kept = queue.kept()!;
  const refused = assertRejects(() => kept, ApiError);
  await pass(clock);
  spool.dead.replayParts = () =>
    ({
      next() {
        throw new StorageError("failed", "I/O error");
      },
    }) as never;
  await assertRejects(async () => void await queue.replay({}), ApiError);
  assertEquals(failures.length, 1);
  spool.endSync();
  assertEquals((await refused).code, "STORAGE_FAILED");
  await pass(clock, 1000);
  assertEquals(failures.length, 1);
});

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
