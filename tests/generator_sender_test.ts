import { assert, assertEquals, assertRejects } from "@std/assert";
import { FetchSender } from "../generator/fetch_sender.ts";
import { type Sender, TcpSender } from "../generator/sender.ts";
import { type Answer, HttpError, parseRetryAfter } from "../src/http_error.ts";

const ACCEPTED = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
const BODY = encode('{"log_messages":[{}]}');

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Compares all but the head, which only TcpSender has. */
function assertAnswer({ head: _, ...answer }: Answer, expected: Answer): void {
  assertEquals(answer, expected);
}

/** One request on a hand-made server's connection. */
interface Exchange {
  readonly head: string;
  readonly body: string;
  /** From 0, over all connections. */
  readonly request: number;
  /** Writes the pieces one by one; the other side reads each before the next is written. */
  readonly write: (...pieces: string[]) => Promise<void>;
  readonly close: () => void;
}

/** Serves TCP by hand; `answer` is called for each complete request. */
function serveRaw(answer: (exchange: Exchange) => Promise<void> | void) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  let requests = 0;
  let opened = 0;
  const close = (conn: Deno.TcpConn) => {
    if (connections.delete(conn)) conn.close();
  };
  async function serve(conn: Deno.TcpConn) {
    try {
      for await (const { head, body } of readRequests(conn)) {
        const write = (...pieces: string[]) => writePieces(conn, pieces);
        await answer({ head, body, request: requests++, write, close: () => close(conn) });
      }
    } catch { // The sender may close whenever it likes.
    }
    close(conn);
  }
  const served: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      opened++;
      connections.add(conn);
      served.push(serve(conn));
    }
  })();
  return {
    url: new URL(`http://localhost:${(listener.addr as Deno.NetAddr).port}/api/v1/logs`),
    get opened() {
      return opened;
    },
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of [...connections]) close(conn);
      await accepting;
      await Promise.all(served);
    },
  };
}

async function* readRequests(conn: Deno.TcpConn) {
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
    const end = text.indexOf("\r\n\r\n") + 4;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (end < 4 || text.length < end + length) continue;
    yield { head: text.slice(0, end), body: text.slice(end, end + length) };
    text = text.slice(end + length);
  }
}

async function writePieces(conn: Deno.TcpConn, pieces: string[]): Promise<void> {
  conn.setNoDelay(true);
  for (const piece of pieces) {
    await conn.write(encode(piece));
    // A turn of the event loop, so that pieces mostly arrive apart; any split is to be read.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const SENDERS = { TcpSender, FetchSender };

function testEach(fact: string, test: (open: (url: URL, timeoutMs?: number) => Sender) => unknown) {
  for (const [name, Transport] of Object.entries(SENDERS)) {
    Deno.test(`${name} ${fact}`, async () => {
      const senders: Sender[] = [];
      try {
        await test((url, timeoutMs = 10_000) => {
          senders.push(new Transport(url, { timeoutMs }));
          return senders.at(-1)!;
        });
      } finally {
        for (const sender of senders) sender.close();
      }
    });
  }
}

testEach("posts JSON to Deno.serve and gives the status", async (open) => {
  const seen: unknown[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (r) => {
    seen.push([r.method, new URL(r.url).pathname, r.headers.get("content-type"), await r.text()]);
    return Response.json({ status: "accepted" }, { status: 202 });
  });
  const sender = open(new URL(`http://127.0.0.1:${server.addr.port}/api/v1/logs`));
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertAnswer(await sender.post(BODY), { status: 202 });
  const one = ["POST", "/api/v1/logs", "application/json", '{"log_messages":[{}]}'];
  assertEquals(seen, [one, one]);
  sender.close();
});

testEach("posts a body of many segments whole", async (open) => {
  const body = encode(JSON.stringify("x".repeat(3_000_000)));
  let length = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (r) => {
    length = (await r.bytes()).length;
    return new Response(null, { status: 202 });
  });
  const sender = open(new URL(`http://127.0.0.1:${server.addr.port}/`));
  assertAnswer(await sender.post(body), { status: 202 });
  assertEquals(length, body.length);
  sender.close();
});

testEach("reads Retry-After", async (open) => {
  const refusal = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n";
  await using server = serveRaw(({ request, write }) => write(request === 0 ? refusal : ACCEPTED));
  const sender = open(server.url);
  assertAnswer(await sender.post(BODY), { status: 503, retryAfterMs: 7000 });
  assertAnswer(await sender.post(BODY), { status: 202 });
});

testEach("reads a chunked answer in pieces, and the next one after it", async (open) => {
  await using server = serveRaw(({ request, write }) =>
    request > 0 ? write(ACCEPTED) : write(
      "HTTP/1.1 202 Accepted\r\nTransfer-En",
      "coding: chunked\r\n\r",
      "\n5\r\nhel",
      "lo\r\n1",
      "0;x=y\r\n0123456789abcdef\r",
      "\n0\r\nTrailer: t\r\n",
      "\r\n",
    )
  );
  const sender = open(server.url);
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertAnswer(await sender.post(BODY), { status: 202 });
});

testEach("skips interim answers", async (open) => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  await using server = serveRaw(({ write }) => write(hints + ACCEPTED));
  assertAnswer(await open(server.url).post(BODY), { status: 202 });
});

testEach("reads an answer that ends with its connection", async (open) => {
  await using server = serveRaw(async ({ write, close }) => {
    await write("HTTP/1.1 202 Accepted\r\n\r\n{", "}");
    close();
  });
  const sender = open(server.url);
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertEquals(server.opened, 2);
});

testEach("opens a new connection after Connection: close", async (open) => {
  const last = ACCEPTED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
  await using server = serveRaw(({ write }) => write(last));
  const sender = open(server.url);
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertEquals(server.opened, 2);
});

async function assertFault(post: Promise<unknown>, fault: string): Promise<void> {
  const error = await assertRejects(() => post, HttpError);
  assertEquals(error.fault, fault);
}

testEach("fails on half an answer", async (open) => {
  await using server = serveRaw(async ({ write, close }) => {
    await write("HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{");
    close();
  });
  await assertFault(open(server.url).post(BODY), "closed");
  assertEquals(server.requests, 1);
});

testEach("fails when nobody listens", async (open) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const sender = open(new URL(`http://127.0.0.1:${port}/`));
  await assertFault(sender.connect(), "connect");
  await assertFault(sender.post(BODY), "connect");
});

testEach("fails after the timeout when no answer comes", async (open) => {
  await using server = serveRaw(() => {});
  const sender = open(server.url, 50);
  await Promise.all([1, 2, 3].map(() => assertFault(sender.post(BODY), "timeout")));
});

testEach("close() fails what is under way at once", async (open) => {
  const received = Promise.withResolvers<void>();
  await using server = serveRaw(() => received.resolve());
  const sender = open(server.url);
  const failed = assertFault(sender.post(BODY), "interrupted");
  await received.promise;
  sender.close();
  await failed;
  await assertFault(sender.post(BODY), "interrupted");
});

testEach("connect() is content with any answer", async (open) => {
  const notFound = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  await using server = serveRaw(({ write }) => write(notFound));
  await open(server.url).connect();
});

function withTcp(fact: string, test: (open: (url: URL) => Sender) => unknown) {
  Deno.test(`TcpSender ${fact}`, async () => {
    let sender: Sender | undefined;
    try {
      await test((url) => sender = new TcpSender(url, { timeoutMs: 10_000 }));
    } finally {
      sender?.close();
    }
  });
}

withTcp("uses one connection for one request after the other", async (open) => {
  await using server = serveRaw(({ write }) => write(ACCEPTED));
  const sender = open(server.url);
  for (let i = 0; i < 5; i++) assertAnswer(await sender.post(BODY), { status: 202 });
  assertEquals([server.opened, server.requests], [1, 5]);
});

withTcp("sends once more when a kept-alive connection turns out to be closed", async (open) => {
  await using server = serveRaw(({ request, write, close }) =>
    request === 1 ? close() : write(ACCEPTED)
  );
  const sender = open(server.url);
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertAnswer(await sender.post(BODY), { status: 202 });
  assertEquals([server.opened, server.requests], [2, 3]);
});

withTcp("does not send again when a new connection closes without an answer", async (open) => {
  await using server = serveRaw(({ close }) => close());
  await assertFault(open(server.url).post(BODY), "closed");
  assertEquals(server.requests, 1);
});

withTcp("takes an answer that comes before the body is read", async (open) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const serving = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(100));
    await conn.write(encode("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"));
    return conn;
  })();
  const sender = open(new URL(`http://localhost:${port}/`));
  assertAnswer(await sender.post(new Uint8Array(32 * 2 ** 20)), { status: 413 });
  (await serving).close();
  listener.close();
});

for (
  const [name, answer] of [
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    ["a length that is no number", "HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n"],
    ["a chunk size that is no number", "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"],
    ["an endless head", `HTTP/1.1 202 Accepted\r\nX: ${"x".repeat(70_000)}`],
  ] as const
) {
  withTcp(`fails on ${name}`, async (open) => {
    await using server = serveRaw(({ write }) => write(answer));
    await assertFault(open(server.url).post(BODY), "malformed");
  });
}

withTcp("does not use a connection again that said more than was asked", async (open) => {
  await using server = serveRaw(({ write }) => write(ACCEPTED + "more"));
  const sender = open(server.url);
  await sender.post(BODY);
  await sender.post(BODY);
  assertEquals(server.opened, 2);
});

Deno.test("TcpSender finds a server on ::1 under the name localhost", async () => {
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname: "::1", port: 0, onListen() {} }, () => new Response());
  } catch {
    return; // No IPv6 here.
  }
  const sender = new TcpSender(new URL(`http://localhost:${server.addr.port}/`), {
    timeoutMs: 10_000,
  });
  assertAnswer(await sender.post(BODY), { status: 200 });
  sender.close();
  await server.shutdown();
});

Deno.test("parseRetryAfter() reads seconds and dates, within 0 to 60 s", () => {
  const nowMs = Date.UTC(2024, 0, 1, 12);
  assertEquals(parseRetryAfter("5", nowMs), 5000);
  assertEquals(parseRetryAfter("9999", nowMs), 60_000);
  assertEquals(parseRetryAfter("Mon, 01 Jan 2024 12:00:03 GMT", nowMs), 3000);
  assertEquals(parseRetryAfter("Mon, 01 Jan 2024 11:00:00 GMT", nowMs), 0);
  assertEquals(parseRetryAfter("soon", nowMs), undefined);
  assert(parseRetryAfter("0", nowMs) === 0);
});
