/**
 * HTTP/1.1 to one server over kept-alive TCP connections: a third of what fetch costs.
 *
 * Used by delivery and by the generator, for `http:` URLs. There are as many connections as requests
 * under way at most, and the one used last is used next. A request on a kept connection that
 * closes before a byte of the answer is sent once more on a new one: servers close idle
 * connections whenever they like.
 */

import { type Cancel, type Clock, systemClock } from "./clock.ts";
import { HttpConnection, type RequestBody } from "./http_connection.ts";
import { type Answer, HttpError } from "./http_error.ts";

/** A connection that others have made superfluous for this long is closed. */
const MAX_IDLE_MS = 30_000;

export interface HttpClientOptions {
  /** For one exchange. */
  readonly timeoutMs: number;
  /** For opening a connection. @default timeoutMs */
  readonly connectTimeoutMs?: number;
  /** An answer's body is read to this many bytes. @default unlimited */
  readonly maxAnswerBytes?: number;
  /** @default systemClock */
  readonly clock?: Clock;
}

export class HttpClient {
  readonly #hostnames: readonly string[];
  readonly #port: number;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #maxAnswerBytes: number;
  readonly #clock: Clock;
  readonly #dialling = new Set<AbortController>();
  readonly #idle: HttpConnection[] = [];
  /** Oldest first, so that only the first can be the next to run out of time. */
  readonly #busy = new Set<HttpConnection>();
  #closed = false;
  #cancelExpiry: Cancel | undefined;

  /** @param url of the server; its path means nothing here */
  constructor(url: URL, options: HttpClientOptions) {
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    // Where localhost means ::1 first, a server on 127.0.0.1 would not be found.
    this.#hostnames = hostname === "localhost" ? ["127.0.0.1", "::1"] : [hostname];
    this.#port = Number(url.port || 80);
    this.#timeoutMs = options.timeoutMs;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? options.timeoutMs;
    this.#maxAnswerBytes = options.maxAnswerBytes ?? Infinity;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Opens a connection, for the next request.
   *
   * @throws {HttpError}
   */
  async connect(): Promise<void> {
    const connection = await this.#open();
    connection.deadlineMs = this.#clock.monotonicMs() + this.#timeoutMs;
    this.#keep(connection);
  }

  /**
   * Makes one exchange.
   *
   * @param head request line and headers, each ended by CR LF, without Content-Length
   * @param body undefined for a request that has none
   * @throws {HttpError}
   */
  async request(head: string, body?: RequestBody): Promise<Answer> {
    const kept = this.#idle.pop();
    const answer = (kept && await this.#exchange(kept, { head, body })) ??
      await this.#exchange(await (kept ? this.#reopen() : this.#open()), { head, body });
    if (!answer) throw new HttpError("closed", "Connection closed without an answer");
    return answer;
  }

  /** Lets requests under way end, and keeps no connection after them. */
  retire(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    this.#endExpiry();
  }

  /** Ends everything at once; requests under way fail as interrupted. */
  close(): void {
    this.retire();
    const error = new HttpError("interrupted", "Stopped by the sender");
    for (const dialling of this.#dialling) dialling.abort(error);
    for (const connection of this.#busy) connection.fail(error);
  }

  /** Returns nothing when the connection closes before the answer begins. */
  async #exchange(
    connection: HttpConnection,
    request: { head: string; body: RequestBody | undefined },
  ): Promise<Answer | undefined> {
    connection.deadlineMs = this.#clock.monotonicMs() + this.#timeoutMs;
    this.#busy.add(connection);
    this.#cancelExpiry ??= this.#clock.after(this.#timeoutMs, () => this.#expire());
    let reusable = false;
    try {
      const answer = await connection.exchange(request.head, request.body);
      reusable = connection.reusable && !this.#closed;
      return answer;
    } finally {
      this.#busy.delete(connection);
      if (reusable) this.#keep(connection);
      else connection.close();
      if (this.#closed) this.#endExpiry();
    }
  }

  /** Keeps a connection for the next request, and lets go of one that none has needed for long. */
  #keep(connection: HttpConnection): void {
    this.#idle.push(connection);
    connection.watch(() => this.#drop(connection));
    // The deadline of its last exchange stands for the time of its last use.
    const unusedMs = connection.deadlineMs - this.#idle[0]!.deadlineMs;
    if (unusedMs > MAX_IDLE_MS) this.#idle.shift()!.close();
  }

  #drop(connection: HttpConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    connection.close();
  }

  /** Opens a connection for a request that may have arrived over the one that it broke. */
  async #reopen(): Promise<HttpConnection> {
    try {
      return await this.#open();
    } catch (error) {
      if (!(error instanceof HttpError) || error.fault !== "connect") throw error;
      throw new HttpError("lost", `Connection closed without an answer; then ${error.message}`);
    }
  }

  async #open(): Promise<HttpConnection> {
    if (this.#closed) throw new HttpError("interrupted", "Stopped by the sender");
    let failure: unknown;
    for (const hostname of this.#hostnames) {
      try {
        return new HttpConnection(await this.#dial(hostname), {
          clock: this.#clock,
          maxAnswerBytes: this.#maxAnswerBytes,
        });
      } catch (error) {
        if (error instanceof HttpError) throw error;
        failure ??= error;
      }
    }
    throw new HttpError("connect", failure instanceof Error ? failure.message : String(failure));
  }

  /** Gives up with the timeout: the system would go on dialling for two minutes. */
  async #dial(hostname: string): Promise<Deno.TcpConn> {
    const dialling = new AbortController();
    const cancel = this.#clock.after(this.#connectTimeoutMs, () => {
      const detail = `No connection within ${this.#connectTimeoutMs} ms`;
      dialling.abort(new HttpError("connect", detail));
    });
    this.#dialling.add(dialling);
    const { signal } = dialling;
    try {
      const connection = await Deno.connect({ hostname, port: this.#port, signal });
      if (!signal.aborted) return connection;
      // Both came at once.
      connection.close();
      throw signal.reason;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      this.#dialling.delete(dialling);
      cancel();
    }
  }

  /** The timer outlives its requests, which saves setting it anew; but not the client. */
  #endExpiry(): void {
    if (this.#busy.size === 0) this.#cancelExpiry?.();
  }

  /** One timer for all requests: it is set for the oldest, and then for the next oldest. */
  #expire(): void {
    this.#cancelExpiry = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const connection of this.#busy) {
      const leftMs = connection.deadlineMs - nowMs;
      if (leftMs > 0) {
        this.#cancelExpiry = this.#clock.after(Math.ceil(leftMs), () => this.#expire());
        return;
      }
      connection.fail(new HttpError("timeout", `No answer within ${this.#timeoutMs} ms`));
    }
  }
}
