/**
 * A port that can be closed and opened again while the program runs.
 *
 * `localhost` listens on 127.0.0.1 and, where the machine has it, on ::1 under the same port: a
 * client that resolves `http://localhost:PORT` to either gets in at once, without every interface
 * of the machine being open. Any other host is bound as it is.
 */

/** A port that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly inUse: boolean;

  constructor(where: string, cause: Error) {
    const inUse = cause instanceof Deno.errors.AddrInUse;
    super(`Cannot listen on ${where}: ${inUse ? "address already in use" : cause.message}`, {
      cause,
    });
    this.inUse = inUse;
  }
}

/** Where to listen; port 0 takes any free one and keeps it. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Called when the listener died by itself, for instance for want of file descriptors. */
  readonly onFailure?: () => void;
}

interface Running {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly controller: AbortController;
}

/** The two loopback addresses rarely have the same free port taken in only one of them. */
const FREE_PORT_TRIES = 10;

export class Listener {
  readonly #handler: (request: Request) => Response | Promise<Response>;
  readonly #options: ListenOptions;
  #port: number;
  #running: Running[] = [];

  constructor(
    handler: (request: Request) => Response | Promise<Response>,
    options: ListenOptions,
  ) {
    this.#handler = handler;
    this.#options = options;
    this.#port = options.port;
  }

  /** The port in use; known once it has been opened. */
  get port(): number {
    return this.#port;
  }

  get isOpen(): boolean {
    return this.#running.length > 0;
  }

  /** A URL under which a client on this machine reaches it. */
  get url(): string {
    const { host } = this.#options;
    const wildcard = host === "0.0.0.0" || host === "::";
    const name = wildcard ? "localhost" : host.includes(":") ? `[${host}]` : host;
    return `http://${name}:${this.#port}`;
  }

  /** @throws {ListenError} */
  open(): void {
    for (let tries = 1; !this.isOpen; tries++) {
      try {
        this.#running = this.#bindAll();
      } catch (error) {
        const free = this.#port === 0 && (error as ListenError).inUse;
        if (!free || tries === FREE_PORT_TRIES) throw error;
      }
    }
    this.#port = this.#running[0]!.server.addr.port;
  }

  #bindAll(): Running[] {
    if (this.#options.host !== "localhost") return [this.#bind(this.#options.host, this.#port)];
    const ipv4 = this.#bind("127.0.0.1", this.#port);
    try {
      return [ipv4, this.#bind("::1", ipv4.server.addr.port)];
    } catch (error) {
      // Without IPv6 the name cannot lead there; a foreign program on it would get our packets.
      if (!(error as ListenError).inUse) return [ipv4];
      ipv4.controller.abort();
      throw error;
    }
  }

  #bind(hostname: string, port: number): Running {
    const controller = new AbortController();
    try {
      const server = Deno.serve({
        hostname,
        port,
        signal: controller.signal,
        onListen() {},
        onError: answerBrokenRequest,
      }, this.#handler) as Deno.HttpServer<Deno.NetAddr>;
      const running = { server, controller };
      server.finished.catch(() => this.#fail(running));
      return running;
    } catch (error) {
      const name = hostname.includes(":") ? `[${hostname}]` : hostname;
      throw new ListenError(`${name}:${port}`, error as Error);
    }
  }

  #fail(running: Running): void {
    if (!this.#running.includes(running)) return;
    for (const { controller } of this.#running) controller.abort();
    this.#running = [];
    this.#options.onFailure?.();
  }

  /** Frees the port at once and resolves when the requests that are in have been answered. */
  async close(): Promise<void> {
    const running = this.#running;
    this.#running = [];
    await Promise.allSettled(running.map(({ server }) => server.shutdown()));
  }

  /** Frees the port and breaks the connections, as a crash does. */
  async cut(): Promise<void> {
    const running = this.#running;
    this.#running = [];
    for (const { controller } of running) controller.abort();
    await Promise.allSettled(running.map(({ server }) => server.finished));
  }
}

/** Reached by a request whose URL cannot be read, and by {@link breakConnection}. */
function answerBrokenRequest(): Response {
  return new Response("Bad request\n", { status: 400 });
}

/**
 * The answer to a request whose listener has just been cut: none, its connection is closed.
 *
 * Deno 2.9 lets a handler answer after its server was aborted; earlier ones close by themselves.
 */
export function breakConnection(): Response {
  const body = new ReadableStream({
    start(controller) {
      controller.error(new Error("Connection is cut"));
    },
  });
  return new Response(body, { status: 503 });
}
