/** HTTP by hand over TCP, for what fetch would never send. */

export interface RawAnswer {
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  readonly text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends the bytes and reads until the server closes, or for `waitMs`. */
export async function sendRaw(
  url: string,
  request: string | Uint8Array,
  waitMs = 2000,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const timer = setTimeout(() => connection.close(), waitMs);
  let text = "";
  try {
    await writeAll(connection, typeof request === "string" ? encoder.encode(request) : request);
    const chunk = new Uint8Array(64 * 1024);
    for (;;) {
      const read = await connection.read(chunk);
      if (read === null) break;
      text += decoder.decode(chunk.subarray(0, read));
    }
  } catch {
    // Closed by the timer, or reset by the server: what came so far is the answer.
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // The timer was first.
    }
  }
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text };
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await connection.write(rest));
  }
}
