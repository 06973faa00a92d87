/** A listener that takes nobody in, its queue full: the kernel answers no further connection. */

const HOST = "127.0.0.1";
/** A listen queue that is full makes the kernel drop what asks for a connection. */
const FILL_TIMEOUT_MS = 300;
const MAX_FILL = 8192;

export class Blackhole {
  readonly #listener: Deno.TcpListener;
  readonly #filling: readonly Deno.Conn[];

  private constructor(listener: Deno.TcpListener, filling: readonly Deno.Conn[]) {
    this.#listener = listener;
    this.#filling = filling;
  }

  /** @param port 0 takes any free one */
  static async dig(port: number): Promise<Blackhole> {
    const listener = Deno.listen({ hostname: HOST, port });
    const address = { hostname: HOST, port: listener.addr.port };
    const filling: Deno.Conn[] = [];
    for (let isFull = false; !isFull && filling.length < MAX_FILL;) {
      const signal = AbortSignal.timeout(FILL_TIMEOUT_MS);
      const connection = await Deno.connect({ ...address, signal }).catch(() => null);
      if (connection) filling.push(connection);
      else isFull = true;
    }
    return new Blackhole(listener, filling);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  close(): void {
    for (const connection of this.#filling) connection.close();
    this.#listener.close();
  }
}
