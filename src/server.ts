/**
 * The open port: keeps serving on it through a listener that dies, until it is closed.
 *
 * The runtime gives up a listener whose accept fails, as it does when file descriptors run out.
 * What was accepted is in this process, so it must not end with it: the port is opened again.
 */

import type { Cancel, Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { confess, problemResponse } from "./problem.ts";

/** Between two tries to listen again: descriptors come back when connections end. */
const REOPEN_MS = 250;
/** Answers under way get this long before their connections are cut. */
const CLOSE_TIMEOUT_MS = 1000;

export interface ServerOptions {
  /** Port 0 takes any free one and keeps it. */
  readonly address: { readonly hostname: string; readonly port: number };
  /** Several threads listen on the port: this one before all others, or beside them. */
  readonly sharing?: "first" | "further" | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class Server {
  readonly #handler: (request: Request) => Response | Promise<Response>;
  readonly #options: ServerOptions;
  readonly #address: Deno.NetAddr;
  #http: Deno.HttpServer<Deno.NetAddr>;
  #cancelReopen: Cancel | undefined;
  #isClosed = false;

  /** @throws {Deno.errors.AddrInUse} and other faults of listening */
  constructor(
    handler: (request: Request) => Response | Promise<Response>,
    options: ServerOptions,
  ) {
    this.#handler = handler;
    this.#options = options;
    const { address, sharing } = options;
    this.#http = this.#listen(sharing === "first" ? findFree(address) : address.port);
    this.#address = this.#http.addr;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#address.port;
  }

  /** Where it listens: `http://127.0.0.1:8080`. */
  get url(): string {
    const { hostname, port } = this.#address;
    const host = hostname === "0.0.0.0" || hostname === "::" ? "localhost" : hostname;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Lets no connection in; resolves when all requests have been answered, or after a second. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelReopen?.();
    await new Promise<void>((resolve) => {
      // `shutdown()` waits for ever on a client with a half-sent body, and fails if listening has.
      const cancel = this.#options.clock.after(CLOSE_TIMEOUT_MS, resolve);
      const done = () => {
        cancel();
        resolve();
      };
      this.#http.shutdown().then(done, done);
    });
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { address: { hostname }, sharing } = this.#options;
    const reusePort = sharing !== undefined;
    const http = Deno.serve({
      hostname,
      port,
      reusePort,
      onListen() {},
      // The runtime would write all of the stack to stderr, and wait for that.
      onError: (error) => problemResponse(confess(error, this.#options.log)),
    }, this.#handler);
    http.finished.catch((error) => this.#fail(error));
    return http;
  }

  #fail(error: Error): void {
    if (this.#isClosed) return;
    const { clock, log } = this.#options;
    log.error("listening failed", { url: this.url, error: error.message, again_in_ms: REOPEN_MS });
    this.#cancelReopen = clock.after(REOPEN_MS, () => this.#reopen());
  }

  #reopen(): void {
    try {
      this.#http = this.#listen(this.#address.port);
      this.#options.log.info("listening again", { url: this.url });
    } catch (error) {
      this.#fail(error as Error);
    }
  }
}

/**
 * The port, or a free one for 0. Who shares a port would also share that of a stranger who does.
 *
 * @throws {Deno.errors.AddrInUse}
 */
function findFree({ hostname, port }: ServerOptions["address"]): number {
  using listener = Deno.listen({ hostname, port });
  return listener.addr.port;
}
