import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { ApiError, type ErrorCode } from "../src/errors.ts";
import { scanFast } from "../src/fast_scanner.ts";
import { MAX_DEPTH, MAX_PACKET_ID_LENGTH, scanPacket } from "../src/packet_scanner.ts";
import { seededRandom } from "../src/random.ts";
import { type Expectation, expectOf, fuzzBody } from "./support/json_fuzz.ts";

const encoder = new TextEncoder();

/** The plain one, and the fast one in front of it that ingest uses. */
const SCANNERS = { scanPacket, scanFast };

function toBytes(body: string | number[]): Uint8Array {
  return typeof body === "string" ? encoder.encode(body) : new Uint8Array(body);
}

/** Brackets `depth` deep in all, the packet's own brace and its log_messages included. */
function nested(depth: number): string {
  return `{"log_messages":[{}],"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
}

const GOOD: Record<string, { body: string; messages?: number; id?: string; multiline?: true }> = {
  "the smallest packet": { body: '{"log_messages":[{}]}' },
  "three messages": { body: '{"log_messages":[{},{"a":1},{}]}', messages: 3 },
  "blanks everywhere": {
    body: ' \t\r\n{ "log_messages" : [ { } , { } ] , "x" : { "y" : [ ] } } \n',
    messages: 2,
    multiline: true,
  },
  "a carriage return alone": { body: '{"log_messages":[{}]\r}', multiline: true },
  "an escaped line break": { body: '{"log_messages":[{"a":"\\n\\r"}]}' },
  "a packet_id": { body: '{"packet_id":"p-1","log_messages":[{}]}', id: "p-1" },
  "a packet_id after the messages": { body: '{"log_messages":[{}],"packet_id":"p"}', id: "p" },
  "a packet_id with escapes": {
    body: '{"log_messages":[{}],"packet_id":"\\u0061\\n\\ud83d\\ude00é"}',
    id: "a\n😀é",
  },
  "a packet_id of half a surrogate pair": {
    body: '{"log_messages":[{}],"packet_id":"\\ud800"}',
    id: "\ud800",
  },
  "an empty packet_id": { body: '{"packet_id":"","log_messages":[{}]}' },
  "a null packet_id": { body: '{"packet_id":null,"log_messages":[{}]}' },
  "a packet_id of 256": {
    body: `{"packet_id":"${"i".repeat(MAX_PACKET_ID_LENGTH)}","log_messages":[{}]}`,
    id: "i".repeat(MAX_PACKET_ID_LENGTH),
  },
  "two packet_ids, of which the last counts": {
    body: '{"packet_id":7,"log_messages":[{}],"packet_id":"b"}',
    id: "b",
  },
  "two packet_ids, the last empty": {
    body: '{"packet_id":"a","log_messages":[{}],"packet_id":""}',
  },
  "two log_messages, of which the last counts": {
    body: '{"log_messages":[],"log_messages":[{},{}]}',
    messages: 2,
  },
  "names written with escapes": {
    body: '{"log\\u005fmessages":[{}],"\\u0070acket_id":"e"}',
    id: "e",
  },
  "the same names further inside": {
    body: '{"x":{"log_messages":1,"packet_id":2},"log_messages":[{"packet_id":[]}]}',
  },
  "numbers of every form": {
    body: '{"log_messages":[{}],"n":[0,-0,1.5,-12e+3,1E-2,12345678901234567890,1e999]}',
  },
  "words": { body: '{"log_messages":[{}],"w":[true,false,null]}' },
  "strings of every form": {
    body: '{"log_messages":[{"s":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9é😀\u2028\x7f"}]}',
  },
  "32 levels": { body: nested(MAX_DEPTH) },
};

for (const [scanner, scan] of Object.entries(SCANNERS)) {
  Deno.test(`${scanner}() reads what is a packet`, async (t) => {
    for (const [name, { body, messages = 1, id, multiline = false }] of Object.entries(GOOD)) {
      await t.step(name, () => {
        const closeAt = encoder.encode(body.trimEnd()).length - 1;
        assertEquals(scan(toBytes(body)), { messages, packetId: id, closeAt, multiline });
        assertEquals(expectOf(toBytes(body)).status, 202, "the oracle");
      });
    }
  });
}

const BAD: Record<string, { body: string | number[]; code: ErrorCode; says?: string }> = {
  "nothing": { body: "", code: "INVALID_JSON", says: "the end of the body" },
  "blanks": { body: " \n", code: "INVALID_JSON" },
  "an open brace": { body: "{", code: "INVALID_JSON" },
  "a byte order mark": { body: '\ufeff{"log_messages":[{}]}', code: "INVALID_JSON" },
  "two packets": { body: '{"log_messages":[{}]}{}', code: "INVALID_JSON", says: "byte 21" },
  "a comma at the end of an object": { body: '{"log_messages":[{}],}', code: "INVALID_JSON" },
  "a comma at the end of an array": { body: '{"log_messages":[{},]}', code: "INVALID_JSON" },
  "no colon": { body: '{"log_messages"[{}]}', code: "INVALID_JSON", says: "a colon at byte 15" },
  "no comma": { body: '{"log_messages":[{}] "a":1}', code: "INVALID_JSON", says: "a comma" },
  "a name without quotes": { body: "{log_messages:[{}]}", code: "INVALID_JSON" },
  "single quotes": { body: "{'log_messages':[{}]}", code: "INVALID_JSON" },
  "a comment": { body: '{"log_messages":[{}]/**/}', code: "INVALID_JSON" },
  "the wrong bracket": { body: '{"log_messages":[{}}}', code: "INVALID_JSON" },
  "a string without end": { body: '{"log_messages":[{"a":"b]}', code: "INVALID_JSON" },
  "a string that ends in a backslash": { body: '{"a":"\\', code: "INVALID_JSON" },
  "a raw line break in a string": { body: '{"a":"b\nc"}', code: "INVALID_JSON", says: "escaped" },
  "an unknown escape": { body: '{"a":"\\x41"}', code: "INVALID_JSON" },
  "a short \\u": { body: '{"a":"\\u12"}', code: "INVALID_JSON" },
  "a \\u that is not hexadecimal": { body: '{"a":"\\u12g4"}', code: "INVALID_JSON" },
  "a leading zero": { body: '{"a":01}', code: "INVALID_JSON" },
  "a leading plus": { body: '{"a":+1}', code: "INVALID_JSON" },
  "a minus alone": { body: '{"a":-}', code: "INVALID_JSON" },
  "no digit after the point": { body: '{"a":1.}', code: "INVALID_JSON" },
  "no digit before the point": { body: '{"a":.5}', code: "INVALID_JSON" },
  "no digit in the exponent": { body: '{"a":1e+}', code: "INVALID_JSON" },
  "NaN": { body: '{"a":NaN}', code: "INVALID_JSON" },
  "a word cut short": { body: '{"a":tru', code: "INVALID_JSON" },
  "a word too long": { body: '{"a":nullx}', code: "INVALID_JSON" },
  "a no-break space": { body: '{\u00a0"log_messages":[{}]}', code: "INVALID_JSON" },
  "bad UTF-8 in a value": { body: utf8Fault([0xff]), code: "INVALID_UTF8" },
  "overlong UTF-8": { body: utf8Fault([0xc0, 0x80]), code: "INVALID_UTF8" },
  "a surrogate in UTF-8": { body: utf8Fault([0xed, 0xa0, 0x80]), code: "INVALID_UTF8" },
  "UTF-8 cut short": { body: utf8Fault([0xe2, 0x82]), code: "INVALID_UTF8" },
  "33 levels": { body: nested(MAX_DEPTH + 1), code: "TOO_DEEP", says: "32 levels" },
  "33 levels that a later duplicate replaces": {
    body: nested(MAX_DEPTH + 1).slice(0, -1) + ',"x":1}',
    code: "TOO_DEEP",
  },
  "100,000 open brackets": { body: "[".repeat(100_000), code: "TOO_DEEP" },
  "an array": { body: "[]", code: "INVALID_PACKET", says: "must be a JSON object" },
  "a string": { body: '"log_messages"', code: "INVALID_PACKET" },
  "null": { body: "null", code: "INVALID_PACKET" },
  "an empty object": { body: "{}", code: "INVALID_PACKET", says: "log_messages is missing" },
  "log_messages of null": { body: '{"log_messages":null}', code: "INVALID_PACKET", says: "array" },
  "log_messages of an object": { body: '{"log_messages":{}}', code: "INVALID_PACKET" },
  "no messages": { body: '{"log_messages":[]}', code: "INVALID_PACKET", says: "empty" },
  "a message that is a number": {
    body: '{"log_messages":[{},{},3,"x"]}',
    code: "INVALID_PACKET",
    says: "log_messages[2] must be an object",
  },
  "a message that is an array": { body: '{"log_messages":[[]]}', code: "INVALID_PACKET" },
  "good messages, then bad ones": {
    body: '{"log_messages":[{}],"log_messages":[1]}',
    code: "INVALID_PACKET",
  },
  "a packet_id that is a number": {
    body: '{"packet_id":7,"log_messages":[{}]}',
    code: "INVALID_PACKET",
    says: "packet_id must be a string",
  },
  "a packet_id of 257": {
    body: `{"packet_id":"${"i".repeat(MAX_PACKET_ID_LENGTH + 1)}","log_messages":[{}]}`,
    code: "INVALID_PACKET",
    says: "packet_id is longer than 256",
  },
  "a packet_id with NUL": {
    body: '{"packet_id":"order-7\\u0000x","log_messages":[{}]}',
    code: "INVALID_PACKET",
    says: "packet_id contains the character U+0000",
  },
};

function utf8Fault(bytes: number[]): number[] {
  return [...toBytes('{"log_messages":[{"a":"'), ...bytes, ...toBytes('"}]}')];
}

for (const [scanner, scan] of Object.entries(SCANNERS)) {
  Deno.test(`${scanner}() says what is not a packet, and why`, async (t) => {
    for (const [name, { body, code, says = "" }] of Object.entries(BAD)) {
      await t.step(name, () => {
        const error = assertThrows(() => scan(toBytes(body)), ApiError, says);
        assertEquals(error.code, code);
        assertEquals(expectOf(toBytes(body)).status as number, error.status, "the oracle");
      });
    }
  });
}

function resultOf(scan: typeof scanPacket, bytes: Uint8Array): Expectation {
  try {
    const { messages, packetId } = scan(bytes);
    return { status: 202, messages, packetId };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { status: error.status as 400 | 422 };
  }
}

function agree(found: Expectation, expected: Expectation): boolean {
  if (found.status !== 202 || expected.status !== 202) return found.status === expected.status;
  return found.messages === expected.messages && found.packetId === expected.packetId;
}

Deno.test("the scanners agree with TextDecoder and JSON.parse on 100,000 random bodies", () => {
  const random = seededRandom(20240102);
  const seen = { 202: 0, 400: 0, 422: 0 };
  for (let i = 0; i < 100_000; i++) {
    const bytes = fuzzBody(random);
    const expected = expectOf(bytes);
    for (const [scanner, scan] of Object.entries(SCANNERS)) {
      const found = resultOf(scan, bytes);
      if (agree(found, expected)) continue;
      assertEquals(found, expected, `${scanner}, body ${i}: ${new TextDecoder().decode(bytes)}`);
    }
    seen[expected.status]++;
  }
  // The comparison is worth something only where all three are common.
  for (const [status, count] of Object.entries(seen)) assertGreater(count, 10_000, status);
});

Deno.test("the scanners find the closing brace and raw line breaks of random packets", () => {
  const random = seededRandom(7);
  for (let i = 0; i < 5_000; i++) {
    const bytes = fuzzBody(random);
    if (expectOf(bytes).status !== 202) continue;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const end = text.lastIndexOf("}");
    assert(/^[ \t\r\n]*$/.test(text.slice(end + 1)));
    for (const scan of Object.values(SCANNERS)) {
      const { closeAt, multiline } = scan(bytes);
      assertEquals(closeAt, encoder.encode(text.slice(0, end)).length, text);
      assertEquals(multiline, /[\r\n]/.test(text), text);
    }
  }
});

Deno.test("the scanners take bodies of any size, one after the other", () => {
  for (const size of [10, 5_000_000, 10, 70_000, 9_000_000, 3]) {
    const body = toBytes(`{"log_messages":[{"m":"${"x".repeat(size)}"},{}],"packet_id":"é"}`);
    for (const scan of Object.values(SCANNERS)) {
      const { messages, packetId, closeAt } = scan(body);
      assertEquals([messages, packetId, closeAt], [2, "é", body.length - 1]);
    }
  }
});
