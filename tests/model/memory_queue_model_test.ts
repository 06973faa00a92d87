/** The queue in memory beside plain lists of what it should hold, under random events. */

import { assert, assertEquals } from "@std/assert";
import { memoryBytes, type Packet } from "../../src/packet.ts";
import type { Count } from "../../src/queue/ledger.ts";
import { MemoryQueue } from "../../src/queue/memory.ts";
import { type Random, seededRandom } from "../../src/random.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { books, createPacket, setup, VERDICT } from "../support/memory_queues.ts";

/** What a queue should hold, kept apart from it in plain lists. */
interface Model {
  readonly accepted: Packet[];
  readonly taken: Packet[];
  readonly flying: Packet[];
  readonly delivered: Packet[];
  dead: number;
  deadMessages: number;
}

function step(
  queue: MemoryQueue,
  model: Model,
  { random, clock }: { random: Random; clock: FakeClock },
) {
  const pick = (below: number) => Math.floor(random() * below);
  const takeFrom = (list: Packet[]) => list.splice(pick(list.length), 1)[0];
  const kind = pick(14);
  if (kind < 4) {
    const packet = createPacket({
      id: `id-${pick(50)}`,
      messages: 1 + pick(9),
      bytes: 1 + pick(900),
    });
    const fits = queue.hasRoom(memoryBytes(packet));
    assertEquals(queue.accept(packet), fits);
    if (fits) model.accepted.push(packet);
  } else if (kind < 7) {
    const packet = queue.channel.poll();
    if (packet) model.taken.push(packet);
  } else if (kind === 7) clock.advance(pick(300));
  else if (kind === 8) {
    for (const { packetId } of queue.deadLetters.list({ offset: 0, limit: 1 })) {
      const same = queue.deadLetters.list({ offset: 0, limit: 1e9 })
        .filter((letter) => letter.packetId === packetId);
      const isReplay = random() < 0.5;
      const selection = { ids: [packetId] };
      const done = isReplay ? queue.replay(selection) : queue.deleteDead(selection);
      assertEquals(done, { packets: same.length, notFound: [] });
      if (!isReplay) continue;
      model.dead -= same.length;
      for (const letter of same) model.deadMessages -= letter.messages;
    }
  } else if (kind < 11) {
    const packet = takeFrom(model.taken);
    if (!packet) return;
    if (random() < 0.2) return queue.putBack(packet);
    queue.start(packet);
    model.flying.push(packet);
  } else settle(queue, model, { packet: takeFrom(model.flying), random });
}

function settle(
  queue: MemoryQueue,
  model: Model,
  { packet, random }: { packet: Packet | undefined; random: Random },
): void {
  if (!packet) return;
  const fate = random();
  if (fate < 0.5) {
    queue.deliver(packet);
    model.delivered.push(packet);
  } else if (fate < 0.8) queue.retry(packet, Math.floor(random() * 3) * 100);
  else {
    queue.bury(packet, VERDICT);
    model.dead++;
    model.deadMessages += packet.messages;
  }
}

function sum(packets: readonly Packet[]): { packets: number; messages: number } {
  const messages = packets.reduce((total, packet) => total + packet.messages, 0);
  return { packets: packets.length, messages };
}

function seen({ packets, messages }: Readonly<Count>): { packets: number; messages: number } {
  return { packets, messages };
}

Deno.test("queue keeps accepted = delivered + dead + queued + in flight, whatever happens", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { queue, clock } = setup({ capacity: 40, capacityBytes: 40_000 });
    const random = seededRandom(seed);
    const model: Model = {
      accepted: [],
      taken: [],
      flying: [],
      delivered: [],
      dead: 0,
      deadMessages: 0,
    };
    for (let i = 0; i < 5000; i++) {
      step(queue, model, { random, clock });
      const { ledger } = queue;
      assertEquals(seen(ledger.accepted), sum(model.accepted));
      assertEquals(seen(ledger.count("delivered")), sum(model.delivered));
      assertEquals(seen(ledger.count("in_flight")), sum(model.flying));
      assertEquals(seen(ledger.count("dead")), {
        packets: model.dead,
        messages: model.deadMessages,
      });
      const [accepted, queued, ...rest] = books(queue);
      assertEquals(accepted, queued! + rest.reduce((a, b) => a + b), `step ${i}`);
      assert(queue.ledger.heldBytes <= 40_000, "bytes are bounded");
    }
    // Nothing is lost: what is queued can be taken to the last packet.
    clock.advance(1000);
    const left = [...model.taken];
    for (let packet = queue.channel.poll(); packet; packet = queue.channel.poll()) {
      left.push(packet);
    }
    assertEquals(seen(queue.ledger.count("queued")), sum(left));
    assertEquals(new Set(left).size, left.length, "no packet is there twice");
    assert(model.delivered.length > 200 && model.dead > 10, `seed ${seed}: ${books(queue)}`);
  }
});
