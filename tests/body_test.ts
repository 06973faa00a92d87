import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { BodyReader, FixedRoom } from "../src/body.ts";
import { ApiError } from "../src/errors.ts";
import { FakeClock } from "./support/fake_clock.ts";

const KIB = 1024;
const MAX_BYTES = 256 * KIB;

function setup(capacityBytes = 1024 * KIB) {
  const clock = new FakeClock();
  const room = new FixedRoom(capacityBytes);
  const full = () => new ApiError("QUEUE_FULL", "no room");
  const bodies = new BodyReader({ maxBytes: MAX_BYTES, room, clock, full });
  /** What is reserved, found by trying. */
  const reserved = () => {
    let free = 0;
    for (let step = 2 ** 30; step >= 1; step /= 2) {
      if (!room.reserve(free + step)) continue;
      room.release(free + step);
      free += step;
    }
    return capacityBytes - free;
  };
  return { bodies, clock, room, reserved };
}

/** A request whose body comes as a test lets it. */
function halfSent(headers: Record<string, string> = {}) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const request = new Request("http://a/", { method: "POST", body: readable, headers });
  return { request, writer };
}

function post(body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Request {
  return new Request("http://a/", { method: "POST", body, headers });
}

function filled(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).fill(0x20);
}

async function codeOf(reading: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => reading);
  assertInstanceOf(error, ApiError);
  return error.code;
}

Deno.test("bodies.read() leaves exactly the body's length reserved, whatever its form", async () => {
  const large = filled(200 * KIB);
  const zipped = { "content-encoding": "gzip" };
  const rows: [name: string, request: Request, announced: number, length: number][] = [
    ["short", post(filled(100)), 100, 100],
    ["empty", post(filled(0)), 0, 0],
    ["none", new Request("http://a/", { method: "POST" }), NaN, 0],
    ["large", post(large), large.length, large.length],
    ["not announced", post(large), NaN, large.length],
    ["gzip", post(new Uint8Array(gzipSync(large)), zipped), gzipSync(large).length, large.length],
  ];
  for (const [name, request, announced, length] of rows) {
    const { bodies, clock, reserved } = setup();
    const body = await bodies.read(request, announced);
    assertEquals([body.length, reserved(), clock.timers], [length, length, 0], name);
  }
});

Deno.test("bodies.read() reserves a short body before it comes, of a long one what has come", async () => {
  const rows: [length: number, sent: number, reserved: number[]][] = [
    [100, 100, [100, 100]],
    [64 * KIB, 10, [64 * KIB, 64 * KIB]],
    [200 * KIB, 10 * KIB, [0, 40 * KIB]],
    [200 * KIB, 65 * KIB, [0, 200 * KIB]],
    [NaN, 65 * KIB, [0, 256 * KIB]],
  ];
  for (const [announced, sent, expected] of rows) {
    const { bodies, reserved } = setup();
    const { request, writer } = halfSent();
    const length = announced || sent;
    const reading = bodies.read(request, announced);
    const seen = [reserved()];
    await writer.write(filled(sent));
    await new Promise((resolve) => setTimeout(resolve, 0));
    seen.push(reserved());
    assertEquals(seen, expected, `${sent} of ${announced}`);
    if (length > sent) await writer.write(filled(length - sent));
    await writer.close();
    assertEquals((await reading).length, length);
    assertEquals(reserved(), length);
  }
});

Deno.test("bodies.read() refuses what there is no room for, and holds nothing of it", async () => {
  const zipped = { "content-encoding": "gzip" };
  const rows: [name: string, request: Request, announced: number][] = [
    ["short", post(filled(20 * KIB)), 20 * KIB],
    ["large", post(filled(100 * KIB)), 100 * KIB],
    ["not announced", post(filled(100 * KIB)), NaN],
    ["gzip", post(new Uint8Array(gzipSync(filled(100 * KIB))), zipped), NaN],
  ];
  for (const [name, request, announced] of rows) {
    const { bodies, room, clock, reserved } = setup();
    room.reserve(1010 * KIB);
    assertEquals(await codeOf(bodies.read(request, announced)), "QUEUE_FULL", name);
    assertEquals([reserved(), clock.timers], [1010 * KIB, 0], name);
  }
});

Deno.test("bodies.read() gives a body 15 seconds and then lets go of it", async () => {
  for (const announced of [100 * KIB, NaN]) {
    const { bodies, clock, reserved } = setup();
    const { request, writer } = halfSent();
    const reading = codeOf(bodies.read(request, announced));
    await writer.write(filled(30 * KIB));
    clock.advance(15_000);
    assertEquals(await reading, "BODY_TIMEOUT");
    assertEquals([reserved(), clock.timers], [0, 0]);
    await writer.closed.catch(() => {});
  }
});

Deno.test("bodies.read() keeps most of the room from short bodies that never end", async () => {
  const { bodies, clock, reserved } = setup(256 * KIB);
  const stuck = [halfSent(), halfSent()];
  const reading = stuck.map(({ request }) => codeOf(bodies.read(request, 40 * KIB)));
  assertEquals(
    [reserved(), clock.timers],
    [40 * KIB, 1],
    "the second has a deadline, and nothing yet",
  );
  clock.advance(15_000);
  assertEquals(await reading[1], "BODY_TIMEOUT");
  assertEquals(reserved(), 40 * KIB);
  await stuck[0]!.writer.abort(new Error("gone"));
  assertEquals(await reading[0], "BODY_INCOMPLETE");
  assertEquals(reserved(), 0);
});

Deno.test("bodies.read() holds nothing of a body that fails", async () => {
  const { bodies, clock, reserved } = setup();
  const zipped = { "content-encoding": "gzip" };
  const bomb = new Uint8Array(gzipSync(filled(MAX_BYTES + 1)));
  const rows: [request: Request, announced: number, code: string][] = [
    [post(filled(MAX_BYTES + 1)), NaN, "BODY_TOO_LARGE"],
    [post(bomb, zipped), bomb.length, "BODY_TOO_LARGE"],
    [post(filled(50), zipped), 50, "INVALID_ENCODING"],
    [post(filled(50), { "content-encoding": "br" }), 50, "UNSUPPORTED_ENCODING"],
  ];
  for (const [request, announced, code] of rows) {
    assertEquals(await codeOf(bodies.read(request, announced)), code);
    assertEquals([reserved(), clock.timers], [0, 0], code);
  }
  const { request, writer } = halfSent();
  const reading = codeOf(bodies.read(request, 100 * KIB));
  await writer.write(filled(KIB));
  await writer.abort(new Error("gone"));
  assertEquals(await reading, "BODY_INCOMPLETE");
  assertEquals(reserved(), 0);
});
