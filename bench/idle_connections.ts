/** Connections that have had one answer and are kept open, as those of many quiet agents are. */

const AT_ONCE = 100;
const REQUEST = new TextEncoder().encode("GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n");

export interface IdleConnections {
  readonly count: number;
  /** Asks again on each, closes it, and returns how many had been cut. */
  close(): Promise<number>;
}

/** Opens so many connections to a server. */
export async function openIdle(url: string, count: number): Promise<IdleConnections> {
  const { hostname, port } = new URL(url);
  const connections: Deno.TcpConn[] = [];
  const open = async () => {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    await ask(connection);
    connections.push(connection);
  };
  await inSteps(Array.from({ length: count }, () => open));
  return {
    count,
    async close() {
      let cut = 0;
      await inSteps(connections.map((connection) => async () => {
        await ask(connection).catch(() => cut++);
        connection.close();
      }));
      return cut;
    },
  };
}

/** @throws {Error} when there is no answer */
async function ask(connection: Deno.TcpConn): Promise<void> {
  await connection.write(REQUEST);
  if (await connection.read(new Uint8Array(1024)) === null) throw new Error("Cannot read: closed");
}

async function inSteps(steps: readonly (() => Promise<void>)[]): Promise<void> {
  for (let i = 0; i < steps.length; i += AT_ONCE) {
    await Promise.all(steps.slice(i, i + AT_ONCE).map((step) => step()));
  }
}
