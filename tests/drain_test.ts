import { assertEquals } from "@std/assert";
import { deliverRest, STUCK_MS } from "../src/drain.ts";
import { sealPacket } from "../src/packet.ts";
import { MemoryQueue } from "../src/queue/memory.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { createMemoryLog } from "./support/spools.ts";

/** A drain of three packets in 25 s, and how long it has taken when it ends. */
function drain(durability: "memory" | "disk") {
  const clock = new FakeClock();
  const log = createMemoryLog();
  const window = new MemoryQueue({ capacity: 10, capacityBytes: 1e6 }, clock);
  const packets = [1, 2, 3].map((messages) => {
    const shape = { messages, packetId: `p${messages}`, closeAt: 0, multiline: false };
    const options = { receivedAt: "", acceptedAtMs: 0, newId: () => "" };
    const packet = sealPacket(new Uint8Array(1), shape, options);
    window.accept(packet);
    return packet;
  });
  const queue = {
    durability,
    ledger: window.ledger,
    idle: (timeoutMs: number) => window.idle(timeoutMs),
  };
  const registry = { isAnyAvailable: false };
  let tookMs: number | undefined;
  void deliverRest(25_000, { queue, registry, clock, log }).then(() => {
    tookMs = clock.monotonicMs();
  });
  /** Lets time go by in small steps, with the loop's turns between them. */
  async function pass(ms: number): Promise<number | undefined> {
    for (let left = ms; left > 0 && tookMs === undefined; left -= 50) {
      clock.advance(50);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
    return tookMs;
  }
  return { queue: window, packets, registry, clock, log, pass };
}

Deno.test("deliverRest() from disk ends soon where nobody can take anything, and says so", async () => {
  const { log, pass } = drain("disk");
  assertEquals(await pass(STUCK_MS), undefined);
  assertEquals(await pass(200), STUCK_MS + 100);
  assertEquals(log.entries, [{
    level: "info",
    event: "drain ends early: no analyzer is available, the rest is safe on disk",
    fields: { packets_on_disk: 3, messages_on_disk: 6 },
  }]);
});

Deno.test("deliverRest() from memory waits the whole time, as the rest would be lost", async () => {
  const { log, pass } = drain("memory");
  assertEquals(await pass(24_950), undefined);
  assertEquals(await pass(1000), 25_000);
  assertEquals(log.entries, []);
});

Deno.test("deliverRest() waits while an analyzer is available, and begins anew when one was", async () => {
  const { registry, pass } = drain("disk");
  registry.isAnyAvailable = true;
  assertEquals(await pass(10_000), undefined);
  registry.isAnyAvailable = false;
  assertEquals(await pass(1500), undefined);
  registry.isAnyAvailable = true;
  assertEquals(await pass(1000), undefined);
  registry.isAnyAvailable = false;
  assertEquals(await pass(5000), 12_500 + STUCK_MS + 100);
});

Deno.test("deliverRest() waits for what is in flight, to its end", async () => {
  const { queue, packets, log, pass } = drain("disk");
  for (const packet of packets) queue.start(packet);
  assertEquals(await pass(20_000), undefined);
  for (const packet of packets) queue.deliver(packet);
  assertEquals(await pass(50), 20_050);
  assertEquals(log.entries, []);
});

Deno.test("deliverRest() leaves no timer behind, and never outlasts its time", async () => {
  const early = drain("disk");
  await early.pass(5000);
  const late = drain("disk");
  late.registry.isAnyAvailable = true;
  assertEquals(await late.pass(30_000), 25_000);
  assertEquals([early.clock.timers, late.clock.timers], [0, 0]);
});
