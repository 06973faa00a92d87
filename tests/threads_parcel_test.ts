import { assert, assertEquals } from "@std/assert";
import { scanFast } from "../src/fast_scanner.ts";
import { type Packet, packetBytes, sealPacket } from "../src/packet.ts";
import { packParcel, unpackParcel } from "../src/threads/parcel.ts";

const decoder = new TextDecoder();

function seal(text: string): Packet {
  const received = new TextEncoder().encode(text);
  return sealPacket(received, scanFast(received), {
    receivedAt: "2026-01-01T00:00:00.000Z",
    acceptedAtMs: 1,
    newId: () => "made-here",
  });
}

function bodyOf(id: string, length: number): string {
  return `{"packet_id":"${id}","log_messages":[{},{"message":"${"x".repeat(length)}"}]}`;
}

/** As the runtime does between threads: what is handed over is gone here. */
function send(packets: readonly Packet[]) {
  const handovers = packets.map((packet, i) => ({ packet, reservedBytes: 100 + i, ticket: 7 + i }));
  const { parcel, buffers } = packParcel(handovers);
  return unpackParcel(structuredClone(parcel, { transfer: buffers }), 55);
}

Deno.test("parcel carries packets of all sizes in order, byte for byte", () => {
  const texts = [
    bodyOf("short", 10),
    bodyOf("long", 20_000),
    `{"log_messages":[{}]}`,
    `{\n  "log_messages": [{}]\n}\n`,
    bodyOf("long too", 9000),
    bodyOf("é", 0),
  ];
  const expected = texts.map((text) => {
    const packet = seal(text);
    const { id, messages, multiline, bytes } = packet;
    return { id, messages, multiline, bytes, text: decoder.decode(packetBytes(packet)) };
  });
  const arrived = send(texts.map(seal));
  assertEquals(
    arrived.map(({ packet }) => {
      const { id, messages, multiline, bytes } = packet;
      return { id, messages, multiline, bytes, text: decoder.decode(packetBytes(packet)) };
    }),
    expected,
  );
  for (const [i, { packet, reservedBytes, ticket }] of arrived.entries()) {
    assertEquals([reservedBytes, ticket, packet.acceptedAtMs], [100 + i, 7 + i, 55]);
    assertEquals([packet.state, packet.attempts, packet.ref], ["queued", 0, undefined]);
  }
});

Deno.test("parcel: no packet holds the memory of its companions", () => {
  const texts = Array.from({ length: 50 }, (_, i) => bodyOf(`p-${i}`, i % 2 === 0 ? 10 : 10_000));
  for (const { packet } of send(texts.map(seal))) {
    assert(packet.body.buffer.byteLength <= packet.bytes);
  }
});

Deno.test("parcel: a long body that lies within a larger buffer takes only itself along", () => {
  const within = new TextEncoder().encode(`${bodyOf("within", 20_000)}   `);
  const body = new Uint8Array(within.buffer, 0, within.length - 3);
  const packet = { ...seal(bodyOf("within", 20_000)), body };
  const [arrived] = send([packet]);
  assertEquals(within.length, within.buffer.byteLength);
  assertEquals(arrived!.packet.body.length, body.length);
});
