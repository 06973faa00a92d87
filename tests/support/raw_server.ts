/** A server of raw TCP, for answers that no HTTP server gives. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A TCP server that reads whole requests and answers them, or not, as it is told. */
export class RawServer implements AsyncDisposable {
  readonly requests: string[] = [];
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #answer: (conn: Deno.Conn) => Promise<unknown>;
  readonly #conns = new Set<Deno.Conn>();
  readonly #running: Promise<unknown>[] = [];

  /** @param answer gets each request's connection; what it writes is the answer */
  constructor(answer: (conn: Deno.Conn) => Promise<unknown>) {
    this.#answer = answer;
    this.#running.push(this.#listen());
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) close(conn);
    await Promise.all(this.#running);
  }

  async #listen(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        this.connections++;
        this.#conns.add(conn);
        this.#running.push(this.#serve(conn));
      }
    } catch { /* closed */ }
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    let text = "";
    try {
      for (let read = await conn.read(buffer); read !== null; read = await conn.read(buffer)) {
        text += decoder.decode(buffer.subarray(0, read));
        const [head, body] = text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head!)?.[1]);
        if (body === undefined || encoder.encode(body).length < length) continue;
        this.requests.push(text);
        text = "";
        await this.#answer(conn);
      }
    } catch { /* the client has gone, or the answer closed the connection */ }
    close(conn);
  }
}

export function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* it is closed */ }
}

export async function write(conn: Deno.Conn, text: string | Uint8Array): Promise<void> {
  let rest = typeof text === "string" ? encoder.encode(text) : text;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

export function answer(status: number, headers = ""): string {
  return `HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n${headers}\r\nok`;
}
