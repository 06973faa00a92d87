import { gunzipSync, gzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import {
  batchLength,
  memoryBytes,
  type Packet,
  PACKET_OVERHEAD_BYTES,
  packetBytes,
  sealPacket,
  writeBatch,
} from "../src/packet.ts";
import { scanPacket } from "../src/packet_scanner.ts";
import { seededRandom } from "../src/random.ts";
import { expectOf, fuzzBody } from "./support/json_fuzz.ts";

const RECEIVED_AT = "2024-01-02T03:04:05.678Z";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function seal(body: string | Uint8Array): Packet {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  return sealPacket(bytes, scanPacket(bytes), {
    receivedAt: RECEIVED_AT,
    acceptedAtMs: 12,
    newId: () => "new-id",
  });
}

function textOf(packet: Packet): string {
  return decoder.decode(packetBytes(packet));
}

function batchText(packets: readonly Packet[]): string {
  const bytes = new Uint8Array(batchLength(packets));
  writeBatch(packets, bytes, 0);
  return decoder.decode(bytes);
}

/** Good packets among random ones. */
function* goodBodies(seed: number, count: number): Generator<Uint8Array> {
  const random = seededRandom(seed);
  for (let found = 0; found < count;) {
    const bytes = fuzzBody(random);
    if (expectOf(bytes).status !== 202) continue;
    found++;
    yield bytes;
  }
}

Deno.test("sealPacket() appends received_at, and packet_id where the agent sent none", () => {
  const end = `,"received_at":"${RECEIVED_AT}"}`;
  assertEquals(
    textOf(seal('{"packet_id":"p-1","log_messages":[{}]}')),
    `{"packet_id":"p-1","log_messages":[{}]${end}`,
  );
  for (const start of ['{"log_messages":[{}]', '{"packet_id":null,"log_messages":[{}]']) {
    const packet = seal(`${start}}`);
    assertEquals(packet.id, "new-id");
    assertEquals(textOf(packet), `${start},"packet_id":"new-id"${end}`);
  }
});

Deno.test("sealPacket() keeps every received byte: big integers, duplicate keys, blanks, escapes", () => {
  const start =
    '{ "n":12345678901234567890,\t"f":1.0e0,"d":1,"d":2,\n"s":"\\u0041é" ,"packet_id":"p",' +
    '"received_at":"theirs","log_messages" : [ { "id" : 9007199254740993 } ] ';
  assertEquals(textOf(seal(`${start}} \r\n`)), `${start},"received_at":"${RECEIVED_AT}"}`);
});

Deno.test("sealPacket() starts the books of a packet", () => {
  const packet = seal('{"log_messages":[{},{}]}');
  const { messages, acceptedAtMs, state, attempts, rejections, tried, multiline } = packet;
  assertEquals(
    { messages, acceptedAtMs, state, attempts, rejections, tried, multiline },
    {
      messages: 2,
      acceptedAtMs: 12,
      state: "queued",
      attempts: 0,
      rejections: 0,
      tried: [],
      multiline: false,
    },
  );
  assertEquals(memoryBytes(packet), textOf(packet).length + PACKET_OVERHEAD_BYTES);
});

Deno.test("sealPacket() keeps no more memory than it counts", () => {
  const text = '{"packet_id":"p","log_messages":[{}]}';
  const roomy = new Uint8Array(16 * 1024);
  roomy.set(encoder.encode(text));
  const bodies = {
    "exact": new Uint8Array([...encoder.encode(text)]),
    "blanks that follow": new Uint8Array([...encoder.encode(text + " ".repeat(2 ** 16))]),
    "a part of a larger buffer": roomy.subarray(0, text.length),
    "what zlib inflates": gunzipSync(gzipSync(encoder.encode(text + " ".repeat(2 ** 16)))),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const packet = seal(body);
    assert(packet.body.buffer.byteLength <= memoryBytes(packet), name);
    assertEquals(textOf(packet), `${text.slice(0, -1)},"received_at":"${RECEIVED_AT}"}`);
  }
});

Deno.test("packetBytes() parses to what came in, with received_at and packet_id, for random packets", () => {
  for (const body of goodBodies(1, 5000)) {
    const packet = seal(body);
    const text = textOf(packet);
    assertEquals(encoder.encode(text).length, packet.bytes);
    const came = JSON.parse(decoder.decode(body));
    const given = JSON.parse(text);
    assertEquals(given, { ...came, packet_id: packet.id, received_at: RECEIVED_AT }, text);
  }
});

Deno.test("writeBatch() writes one packet a line, whatever the line breaks of random packets", () => {
  const packets = [...goodBodies(2, 5000)].map((body) => seal(body));
  const text = batchText(packets);
  assert(text.endsWith("\n") && !text.includes("\r"));
  const lines = text.slice(0, -1).split("\n");
  assertEquals(lines.length, packets.length);
  lines.forEach((line, i) => {
    assertEquals(JSON.parse(line), JSON.parse(textOf(packets[i]!)), line);
  });
});

Deno.test("writeBatch() puts a space for each raw line break and touches nothing else", () => {
  const packet = seal('{\r\n"packet_id":"p","log_messages":\n[{"a":"\\n"}]}');
  const single = seal('{"packet_id":"q","log_messages":[{}]}');
  assertEquals(
    batchText([packet, single]),
    `{  "packet_id":"p","log_messages": [{"a":"\\n"}],"received_at":"${RECEIVED_AT}"}\n` +
      `${textOf(single)}\n`,
  );
});

Deno.test("writeBatch() writes at its offset and leaves the rest alone", () => {
  const packet = seal('{"packet_id":"é","log_messages":[{}]}');
  const target = new Uint8Array(batchLength([packet]) + 5).fill(0x2e);
  writeBatch([packet], target, 3);
  assertEquals(decoder.decode(target), `...${textOf(packet)}\n..`);
});
