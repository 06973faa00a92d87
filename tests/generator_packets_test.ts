import { assert, assertEquals, assertGreater, assertLess, assertNotEquals } from "@std/assert";
import { PacketFactory, type PacketOptions } from "../generator/packets.ts";
import type { LogPacket } from "../src/packet.ts";

const WALL_MS = Date.UTC(2024, 4, 6, 7, 8, 9, 10);

function makePackets(count: number, options: Partial<PacketOptions> = {}): LogPacket[] {
  const factory = makeFactory(options);
  return Array.from({ length: count }, () => {
    const { body, messages } = factory.next(WALL_MS);
    const packet: LogPacket = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    assertEquals(packet.log_messages.length, messages);
    return packet;
  });
}

function makeFactory(options: Partial<PacketOptions> = {}): PacketFactory {
  const batch = { min: 10, max: 10 };
  return new PacketFactory({ agent: "agent-1", runId: "run1", seed: 1, batch, ...options });
}

function readContent(packet: LogPacket): unknown[] {
  return packet.log_messages.map(({ level, source, message, metadata }) => ({
    level,
    source,
    message,
    metadata,
  }));
}

Deno.test("packets.next() writes every field of the wire format", () => {
  const [packet] = makePackets(1, { agent: `a"\\b` });
  assertEquals(packet!.packet_id, `a"\\b-run1-1`);
  assertEquals(packet!.agent_id, `a"\\b`);
  assertEquals(packet!.sent_at, "2024-05-06T07:08:09.010Z");
  assertEquals(packet!.metadata, { run_id: "run1" });
  for (const message of packet!.log_messages) {
    const fields = ["id", "level", "message", "metadata", "source", "timestamp"];
    assertEquals(Object.keys(message).sort(), fields);
    assertEquals(message.timestamp, "2024-05-06T07:08:09.010Z");
    assert(["DEBUG", "INFO", "WARNING", "ERROR", "FATAL"].includes(message.level));
    assert(!message.message.includes("%d"));
  }
});

Deno.test("packets.next() never repeats an id", () => {
  const packets = makePackets(100);
  assertEquals(new Set(packets.map((packet) => packet.packet_id)).size, 100);
  const ids = packets.flatMap((packet) => packet.log_messages.map((message) => message.id));
  assertEquals(new Set(ids).size, 1000);
});

Deno.test("packets.next() is pinned by the seed but for the run's id", () => {
  const batch = { min: 1, max: 100 };
  const first = makePackets(20, { batch, seed: 7, runId: "a" });
  const again = makePackets(20, { batch, seed: 7, runId: "b" });
  const other = makePackets(20, { batch, seed: 8, runId: "a" });
  assertEquals(first.map(readContent), again.map(readContent));
  assertNotEquals(first.map(readContent), other.map(readContent));
  assertNotEquals(first[0]!.packet_id, again[0]!.packet_id);
});

Deno.test("packets.next() keeps sizes within the range, each doubling as likely as another", () => {
  const count = 20_000;
  const factory = makeFactory({ batch: { min: 1, max: 63 } });
  const octaves = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const { messages } = factory.next(WALL_MS);
    octaves[Math.floor(Math.log2(messages))]!++;
  }
  // 1, 2–3, 4–7, … 32–63: six octaves, five standard deviations.
  const expected = count / 6;
  const bound = 5 * Math.sqrt(count * (1 / 6) * (5 / 6));
  for (const seen of octaves) assertLess(Math.abs(seen - expected), bound);
});

Deno.test("packets.next() writes messages of about 250 bytes", () => {
  const factory = makeFactory();
  let bytes = 0;
  for (let i = 0; i < 1000; i++) bytes += factory.next(WALL_MS).body.length;
  assertGreater(bytes / 10_000, 240);
  assertLess(bytes / 10_000, 270);
});
