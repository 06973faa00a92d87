import { assert, assertEquals, assertRejects } from "@std/assert";
import { HttpClient } from "../src/http_client.ts";
import { HttpError } from "../src/http_error.ts";
import { Blackhole } from "./support/blackhole.ts";
import { eventually } from "./support/eventually.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { openDescriptors } from "./support/proc.ts";

const TIMEOUT_MS = 15_000;
const GET = "GET / HTTP/1.1\r\nHost: test\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The server's end of a connection. */
class Peer {
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    conn.setNoDelay(true);
    this.#conn = conn;
  }

  /** Reads one request, or "" when the client closes. */
  async read(): Promise<string> {
    const buffer = new Uint8Array(64 * 1024);
    let text = "";
    while (!text.endsWith("\r\n\r\n")) {
      const count = await this.#conn.read(buffer);
      if (count === null) return "";
      text += decoder.decode(buffer.subarray(0, count));
    }
    return text;
  }

  async write(text: string): Promise<void> {
    for (let rest = encoder.encode(text); rest.length > 0;) {
      rest = rest.subarray(await this.#conn.write(rest));
    }
  }

  /** Reads one request and answers it. */
  async serve(answer = OK): Promise<string> {
    const request = await this.read();
    await this.write(answer);
    return request;
  }

  /** Says that no more will come, and goes on reading. */
  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    try {
      this.#conn.close();
    } catch { /* It is closed. */ }
  }
}

class Server implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #peers: Peer[] = [];

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`);
  }

  async accept(): Promise<Peer> {
    const peer = new Peer(await this.#listener.accept());
    this.#peers.push(peer);
    return peer;
  }

  close(): void {
    try {
      this.#listener.close();
    } catch { /* It is closed. */ }
  }

  [Symbol.dispose](): void {
    this.close();
    for (const peer of this.#peers) peer.close();
  }
}

/** A client that has made one exchange, over a connection that it keeps. */
async function keepOne(server: Server, clock = new FakeClock()) {
  const client = new HttpClient(server.url, { timeoutMs: TIMEOUT_MS, clock });
  const answered = client.request(GET);
  const peer = await server.accept();
  await peer.serve();
  assertEquals((await answered).status, 200);
  return { client, peer };
}

Deno.test("http client closes a kept connection as soon as the server does", async () => {
  using server = new Server();
  const { client, peer } = await keepOne(server);
  await peer.closeWrite();
  // Where the client waited for its next request, this would wait for ever.
  assertEquals(await peer.read(), "");

  const answered = client.request(GET);
  const next = await server.accept();
  await next.serve();
  assertEquals((await answered).status, 200);
  client.close();
  assertEquals(await next.read(), "");
});

Deno.test("http client closes a connection that was opened ahead, too", async () => {
  using server = new Server();
  const client = new HttpClient(server.url, { timeoutMs: TIMEOUT_MS, clock: new FakeClock() });
  await client.connect();
  const peer = await server.accept();
  await peer.closeWrite();
  assertEquals(await peer.read(), "");
  client.close();
});

Deno.test("http client never takes what was said while idle for the next answer", async () => {
  const unasked = [
    "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "H",
    "\r\n",
  ];
  for (const text of unasked) {
    using server = new Server();
    const { client, peer } = await keepOne(server);
    await peer.write(text);
    assertEquals(await peer.read(), "", "closed at once");
    const answered = client.request(GET);
    const next = await server.accept();
    await next.serve();
    assertEquals((await answered).status, 200, text);
    client.close();
  }
});

Deno.test("http client uses a kept connection again and again, the last used first", async () => {
  using server = new Server();
  const { client, peer } = await keepOne(server);
  for (let i = 0; i < 3; i++) {
    const [answer, request] = await Promise.all([client.request(GET), peer.serve()]);
    assertEquals([answer.status, request], [200, `${GET}\r\n`]);
  }
  const both = [client.request(GET), client.request(GET)];
  const second = await server.accept();
  await peer.serve();
  await both[0];
  await second.serve();
  await both[1];
  const last = client.request(GET);
  await second.serve();
  await last;
  client.close();
  assertEquals([await peer.read(), await second.read()], ["", ""]);
});

Deno.test("http client lets go of connections that others have made superfluous", async () => {
  using server = new Server();
  const clock = new FakeClock();
  const { client, peer } = await keepOne(server, clock);
  const both = [client.request(GET), client.request(GET)];
  const second = await server.accept();
  await peer.serve();
  await both[0];
  await second.serve();
  await both[1];
  for (const ms of [30_000, 1]) {
    clock.advance(ms);
    const answered = client.request(GET);
    await second.serve();
    await answered;
  }
  assertEquals(await peer.read(), "", "none has needed it for over half a minute");
  client.close();
});

Deno.test("http client calls a request lost where its connection broke and there is no other", async () => {
  using server = new Server();
  const { client, peer } = await keepOne(server);
  const failed = assertRejects(() => client.request(GET), HttpError);
  await peer.read();
  server.close();
  peer.close();
  // It may have arrived, and may even be what has killed the server.
  assertEquals((await failed).fault, "lost");
  assertEquals((await assertRejects(() => client.request(GET), HttpError)).fault, "connect");
  client.close();
});

Deno.test("http client tells the head of an answer, and sends no length without a body", async () => {
  using server = new Server();
  const client = new HttpClient(server.url, { timeoutMs: TIMEOUT_MS, clock: new FakeClock() });
  const answered = client.request(GET);
  const peer = await server.accept();
  const request = await peer.serve("HTTP/1.1 204 None\r\nAccept-Post: Application/JSON\r\n\r\n");
  const { status, head } = await answered;
  assertEquals([request, status], [`${GET}\r\n`, 204]);
  assert(head?.includes("\r\naccept-post: application/json\r\n"), head);
  client.close();
});

Deno.test("http client leaves neither timers nor connections behind", async () => {
  using server = new Server();
  const clock = new FakeClock();
  const { client, peer } = await keepOne(server, clock);
  client.retire();
  assertEquals([await peer.read(), clock.timers], ["", 0]);
  assertEquals((await assertRejects(() => client.request(GET), HttpError)).fault, "interrupted");
});

Deno.test({
  name: "http client dials no longer than its timeout, and leaves no socket",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const hole = await Blackhole.dig(0);
    const clock = new FakeClock();
    const client = new HttpClient(new URL(`http://127.0.0.1:${hole.port}`), {
      timeoutMs: TIMEOUT_MS,
      clock,
    });
    const before = openDescriptors(Deno.pid);
    const failing = Array.from(
      { length: 10 },
      () => assertRejects(() => client.request(GET), HttpError),
    );
    await eventually(() => openDescriptors(Deno.pid) >= before + 10, { name: "it dials" });
    clock.advance(TIMEOUT_MS);
    for (const { fault, message } of await Promise.all(failing)) {
      assertEquals(fault, "connect");
      assert(message.startsWith("No connection within "), message);
    }
    await eventually(() => openDescriptors(Deno.pid) <= before, { name: "no socket is left" });
    assertEquals(clock.timers, 0);
    hole.close();
    client.close();
  },
});
