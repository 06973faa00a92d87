import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  type Batch,
  createDelivery,
  type Delivery,
  FetchDelivery,
  headerSafe,
  TcpDelivery,
} from "../src/delivery.ts";
import { parseRetryAfter } from "../src/http_error.ts";
import { type Packet, packetBytes, sealPacket } from "../src/packet.ts";
import { scanPacket } from "../src/packet_scanner.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { answer, close, RawServer, write } from "./support/raw_server.ts";

const TIMEOUT_MS = 15_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function createPacket(id = "p-1", attempts = 0): Packet {
  const bytes = encoder.encode(JSON.stringify({ packet_id: id, log_messages: [{ m: "é" }] }));
  const sealed = sealPacket(bytes, scanPacket(bytes), {
    receivedAt: "2024-01-02T03:04:05.678Z",
    acceptedAtMs: 0,
    newId: () => "new",
  });
  return { ...sealed, attempts };
}

interface Setup {
  readonly clock: FakeClock;
  readonly delivery: Delivery;
  /** Posts one packet to a server that answers so. */
  postTo(
    respond: (conn: Deno.Conn) => Promise<unknown>,
    packets?: Batch,
  ): ReturnType<Delivery["post"]>;
}

const TRANSPORTS = {
  tcp: (clock: FakeClock) => new TcpDelivery({ timeoutMs: TIMEOUT_MS, clock }),
  fetch: (clock: FakeClock) => new FetchDelivery({ timeoutMs: TIMEOUT_MS, clock }),
};

/** States a fact of both transports. */
function test(fact: string, fn: (setup: Setup) => Promise<void>): void {
  for (const [transport, create] of Object.entries(TRANSPORTS)) {
    Deno.test(`delivery.post() over ${transport} ${fact}`, async () => {
      const clock = new FakeClock();
      const delivery = create(clock);
      const postTo: Setup["postTo"] = async (respond, packets = [createPacket()]) => {
        await using server = new RawServer(respond);
        return await delivery.post(server.url, packets);
      };
      await fn({ clock, delivery, postTo });
      delivery.close();
      assertEquals(clock.timers, 0, "no timer outlives its attempt");
    });
  }
}

test("sends one packet as JSON with its id and attempt", async ({ delivery }) => {
  await using server = new RawServer((conn) => write(conn, answer(200)));
  const packet = createPacket("p-1", 2);
  const outcome = await delivery.post(`${server.url}/base`, [packet]);
  assertEquals(outcome, { kind: "delivered", status: 200, latencyMs: 0 });
  const [head, body] = server.requests[0]!.split("\r\n\r\n");
  assertMatch(head!, /^POST \/base\/analyze HTTP\/1\.1\r\n/);
  assertMatch(head!, /\r\ncontent-type: application\/json(\r\n|$)/i);
  assertMatch(head!, /\r\nx-packet-id: p-1(\r\n|$)/i);
  assertMatch(head!, /\r\nx-attempt: 3(\r\n|$)/i);
  assertMatch(head!, new RegExp(`\r\nhost: ${new URL(server.url).host}(\r\n|$)`, "i"));
  assertEquals(body, decoder.decode(packetBytes(packet)));
});

test("sends several packets as NDJSON, and no single one's id", async ({ delivery }) => {
  await using server = new RawServer((conn) => write(conn, answer(200)));
  const packets: Batch = [createPacket("p-1"), createPacket("p-2"), createPacket("p-3")];
  await delivery.post(server.url, packets);
  const [head, body] = server.requests[0]!.split("\r\n\r\n");
  assertMatch(head!, /\r\ncontent-type: application\/x-ndjson(\r\n|$)/i);
  assert(!/x-packet-id|x-attempt/i.test(head!));
  assertEquals(body, packets.map((packet) => `${decoder.decode(packetBytes(packet))}\n`).join(""));
});

test("cannot be made to send a header by an id", async ({ delivery }) => {
  await using server = new RawServer((conn) => write(conn, answer(200)));
  const ids = ["a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n", "a\nb", "\x01", "ü 😀", "\ud800"];
  for (const id of ids) await delivery.post(server.url, [createPacket(id)]);
  assertEquals(server.requests.length, ids.length);
  server.requests.forEach((request, i) => {
    const names = request.split("\r\n\r\n")[0]!.split("\r\n").map((line) => line.split(":")[0]);
    assert(!names.includes("X-Evil"), request);
    const sent = /\r\nx-packet-id: ([\x21-\x7e]+)\r\n/i.exec(request)![1]!;
    assertEquals(decodeURIComponent(sent), ids[i]!.toWellFormed());
  });
});

test("sorts answers by status", async ({ delivery }) => {
  let status = 0;
  await using server = new RawServer((conn) => write(conn, answer(status)));
  const kinds = {
    delivered: [200, 201, 202, 299],
    rejected: [400, 413, 415, 422],
    retriable: [300, 401, 403, 404, 408, 410, 425, 429, 500, 502, 503, 599],
  };
  for (const [kind, statuses] of Object.entries(kinds)) {
    for (status of statuses) {
      const outcome = await delivery.post(server.url, [createPacket()]);
      assertEquals(outcome.kind, kind, `${status}`);
      if (outcome.kind === "retriable") {
        assertEquals(outcome.failure, status >= 500 ? "http_5xx" : "http_4xx", `${status}`);
      }
    }
  }
});

test("takes 204 and an answer without a length for complete", async ({ postTo }) => {
  const bare = (text: string) => async (conn: Deno.Conn) => {
    await write(conn, text);
    close(conn);
  };
  assertEquals((await postTo(bare("HTTP/1.1 204 No Content\r\n\r\n"))).kind, "delivered");
  assertEquals((await postTo(bare("HTTP/1.0 200 OK\r\n\r\nuntil the end"))).kind, "delivered");
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  assertEquals((await postTo(bare(chunked))).kind, "delivered");
});

test("measures the time to the end of the answer", async ({ postTo, clock }) => {
  const outcome = await postTo(async (conn) => {
    clock.advance(40);
    await write(conn, answer(200));
  });
  assertEquals(outcome, { kind: "delivered", status: 200, latencyMs: 40 });
});

test("honours Retry-After in both forms, up to a minute", async ({ postTo, clock }) => {
  const date = (aheadMs: number) => new Date(clock.wallMs() + aheadMs).toUTCString();
  // HTTP dates are whole seconds; the clock stands at 678 ms past one.
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["7", 7000],
    ["3600", 60_000],
    [date(10_000), 9322],
    [date(3_600_000), 60_000],
    [date(-10_000), 0],
    ["soon", undefined],
  ];
  for (const [header, retryAfterMs] of cases) {
    const outcome = await postTo((conn) => write(conn, answer(503, `Retry-After: ${header}\r\n`)));
    assert(outcome.kind === "retriable", header);
    assertEquals(outcome.retryAfterMs, retryAfterMs, header);
  }
});

test("never follows a redirect", async ({ delivery }) => {
  let status = 0;
  await using target = new RawServer((conn) => write(conn, answer(200)));
  await using server = new RawServer((conn) =>
    write(conn, answer(status, `Location: ${target.url}/analyze\r\n`))
  );
  for (status of [301, 302, 303, 307, 308]) {
    const outcome = await delivery.post(server.url, [createPacket()]);
    const detail = `HTTP ${status}`;
    assertEquals(outcome, { kind: "retriable", failure: "http_4xx", status, detail });
  }
  assertEquals(target.connections, 0);
});

test("calls a refused connection that", async ({ delivery }) => {
  const server = new RawServer(() => Promise.resolve());
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const outcome = await delivery.post(url, [createPacket()]);
  assert(outcome.kind === "retriable");
  assertEquals(outcome.failure, "connect");
  assertStringIncludes(outcome.detail.toLowerCase(), "refused");
});

test("gives up when its time is over, wherever the answer stands", async ({ delivery, clock }) => {
  const beginnings = ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\n", `${answer(200).slice(0, -1)}`];
  for (const beginning of beginnings) {
    const begun = Promise.withResolvers<void>();
    await using server = new RawServer(async (conn) => {
      await write(conn, beginning);
      begun.resolve();
    });
    const posted = delivery.post(server.url, [createPacket()]);
    await begun.promise;
    clock.advance(TIMEOUT_MS);
    const outcome = await posted;
    assert(outcome.kind === "retriable", beginning);
    assertEquals(outcome.failure, "timeout", beginning);
    assertStringIncludes(outcome.detail, "within 15000 ms");
  }
});

test("counts a connection that breaks as no timeout, and the packet may have arrived", async (setup) => {
  const breaks: Record<string, string> = {
    "before the answer": "",
    "within its head": "HTTP/1.1 200 OK\r\nContent-Le",
    "within its body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "within its chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
    "after what is no answer": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
  };
  for (const [name, text] of Object.entries(breaks)) {
    await using server = new RawServer(async (conn) => {
      await write(conn, text);
      close(conn);
    });
    const outcome = await setup.delivery.post(server.url, [createPacket()]);
    assert(outcome.kind === "retriable", name);
    assertEquals(outcome.failure, "broken", name);
    assert(outcome.detail.length > 5 && outcome.detail.length <= 256, outcome.detail);
    assertEquals(server.requests.length, 1, `${name}: not sent again by itself`);
  }
});

test("cuts an endless answer off", async ({ postTo }) => {
  const outcome = await postTo(async (conn) => {
    await write(conn, "HTTP/1.1 200 OK\r\n\r\n");
    // Ends when the client has cut the connection, which makes writing fail.
    for (;;) await write(conn, new Uint8Array(16 * 1024));
  });
  assertEquals(outcome.kind, "delivered");
});

test("inflates no endless gzip answer", async ({ postTo }) => {
  const outcome = await postTo(async (conn) => {
    await write(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    // Shrinks to about a hundredth; all zeros would shrink to so little that the server is slow.
    const block = Uint8Array.from({ length: 64 * 1024 }, (_, i) => (i % 500) ** 2 % 251);
    const endless = new ReadableStream<BufferSource>({
      pull: (controller) => controller.enqueue(block),
    });
    const bomb = endless.pipeThrough(new CompressionStream("gzip"));
    for await (const chunk of bomb) await write(conn, chunk);
  });
  assertEquals(outcome.kind, "delivered");
});

test("is ended by close() as worth another try", async ({ delivery }) => {
  const begun = Promise.withResolvers<void>();
  await using server = new RawServer(() => Promise.resolve(begun.resolve()));
  const posted = delivery.post(server.url, [createPacket()]);
  await begun.promise;
  delivery.close();
  assertEquals((await posted).kind, "retriable");
});

Deno.test("delivery.post() over tcp keeps its connection, and opens a new one for a closed one", async () => {
  const clock = new FakeClock();
  const delivery = new TcpDelivery({ timeoutMs: TIMEOUT_MS, clock });
  let closeAfter = false;
  await using server = new RawServer(async (conn) => {
    await write(conn, answer(200));
    if (closeAfter) close(conn);
  });
  for (let i = 0; i < 3; i++) await delivery.post(server.url, [createPacket()]);
  assertEquals(server.connections, 1);
  closeAfter = true;
  for (let i = 0; i < 3; i++) {
    assertEquals((await delivery.post(server.url, [createPacket()])).kind, "delivered");
  }
  assertEquals([server.connections, server.requests.length], [3, 6]);
  delivery.close();
});

Deno.test("delivery.post() over tcp sends nothing again once an answer has begun", async () => {
  const delivery = new TcpDelivery({ timeoutMs: TIMEOUT_MS, clock: new FakeClock() });
  let text = answer(200);
  await using server = new RawServer(async (conn) => {
    await write(conn, text);
    if (text.length < 20) close(conn);
  });
  await delivery.post(server.url, [createPacket()]);
  text = "HTTP/1.1 200";
  assertEquals((await delivery.post(server.url, [createPacket()])).kind, "retriable");
  assertEquals([server.connections, server.requests.length], [1, 2]);
  delivery.close();
});

Deno.test("delivery.post() over tcp says when an analyzer is gone that may have the packet", async () => {
  const delivery = new TcpDelivery({ timeoutMs: TIMEOUT_MS, clock: new FakeClock() });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const dying = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1024));
    await write(conn, answer(200));
    await conn.read(new Uint8Array(1024));
    listener.close();
    close(conn);
  })();
  assertEquals((await delivery.post(url, [createPacket()])).kind, "delivered");
  const lost = await delivery.post(url, [createPacket()]);
  await dying;
  assert(lost.kind === "retriable");
  assertEquals([lost.failure, lost.gone], ["broken", true], "this one counts as an attempt");
  const refused = await delivery.post(url, [createPacket()]);
  assert(refused.kind === "retriable");
  assertEquals([refused.failure, refused.gone], ["connect", undefined]);
  delivery.close();
});

Deno.test("delivery.forget() closes the kept connections of one analyzer", async () => {
  const clock = new FakeClock();
  const delivery = createDelivery({ timeoutMs: TIMEOUT_MS, clock });
  await using server = new RawServer((conn) => write(conn, answer(200)));
  await delivery.post(server.url, [createPacket()]);
  delivery.forget(server.url);
  assertEquals(clock.timers, 0);
  await delivery.post(server.url, [createPacket()]);
  assertEquals(server.connections, 2);
  delivery.close();
});

Deno.test("createDelivery() takes https to the analyzer; no TLS there is a failure to connect", async () => {
  const clock = new FakeClock();
  const delivery = createDelivery({ timeoutMs: TIMEOUT_MS, clock });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refusing = (async () => {
    const conn = await listener.accept();
    await write(conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
    close(conn);
  })();
  const url = `https://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const outcome = await delivery.post(url, [createPacket()]);
  assert(outcome.kind === "retriable");
  assertEquals(outcome.failure, "connect", outcome.detail);
  await refusing;
  listener.close();
  delivery.close();
  assertEquals(clock.timers, 0);
});

Deno.test("headerSafe() leaves printable ASCII and percent-encodes the rest", () => {
  const cases: [string, string][] = [
    ["p-1_~.:/?#[]@!$&'()*+,;=%41", "p-1_~.:/?#[]@!$&'()*+,;=%41"],
    ["", ""],
    ["a b", "a%20b"],
    ["a\r\nb", "a%0D%0Ab"],
    ["tab\t", "tab%09"],
    ["é😀", "%C3%A9%F0%9F%98%80"],
    ["\ud800", "%EF%BF%BD"],
    ["\x7f", "%7F"],
  ];
  for (const [id, safe] of cases) assertEquals(headerSafe(id), safe);
});

Deno.test("parseRetryAfter() reads seconds and dates, within 0 to 60 s", () => {
  const wallMs = Date.UTC(2024, 0, 2, 3, 4, 5);
  const cases: [string, number | undefined][] = [
    ["0", 0],
    [" 5 ", 5000],
    ["60", 60_000],
    ["61", 60_000],
    ["999999999999999999999", 60_000],
    ["Tue, 02 Jan 2024 03:04:15 GMT", 10_000],
    ["Tue, 02 Jan 2024 04:04:15 GMT", 60_000],
    ["Tue, 02 Jan 2024 03:03:15 GMT", 0],
    ["", undefined],
    ["soon", undefined],
  ];
  for (const [text, ms] of cases) assertEquals(parseRetryAfter(text, wallMs), ms, text);
});
