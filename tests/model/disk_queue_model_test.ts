/** The queue on disk under random events and restarts: each packet is delivered, once. */

import { assert, assertEquals } from "@std/assert";
import type { Packet } from "../../src/packet.ts";
import { seededRandom } from "../../src/random.ts";
import {
  accept,
  books,
  HELD_BYTES,
  pass,
  setup,
  startAll,
  VERDICT,
} from "../support/disk_queues.ts";
import { FakeSpool } from "../support/fake_spool.ts";

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
