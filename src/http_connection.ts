/**
 * One kept-alive HTTP/1.1 connection: a request, its answer, the next request; no pipelining.
 *
 * Owned by a client, which sees to it that there is one exchange at a time. Always true: after an
 * exchange that did not end cleanly, `reusable` is false.
 */

import type { Clock } from "./clock.ts";
import { AnswerParser, MalformedAnswer } from "./http_answer.ts";
import { type Answer, HttpError } from "./http_error.ts";

/** What a request carries. It is written straight into the connection's buffer. */
export interface RequestBody {
  /** In bytes. */
  readonly length: number;
  /** Writes exactly `length` bytes at `offset`. */
  writeTo(target: Uint8Array, offset: number): void;
}

const READ_BYTES = 4 * 1024;
/** A buffer up to this size stays with its connection; a larger one is borrowed for a request. */
const KEPT_BYTES = 64 * 1024;

const NO_BODY: RequestBody = { length: 0, writeTo: () => {} };

const encoder = new TextEncoder();

export class HttpConnection {
  /** When the present exchange must be over, in monotonic milliseconds. */
  deadlineMs = 0;
  /** After an exchange: whether there can be another. */
  reusable = false;
  readonly #conn: Deno.TcpConn;
  readonly #parser: AnswerParser;
  readonly #in = new Uint8Array(READ_BYTES);
  #out = new Uint8Array(READ_BYTES);
  #failure: HttpError | undefined;
  #closed = false;
  /** Whether a byte of the present answer has come. */
  #answered = false;
  /** The read that is under way between exchanges; the next answer's first. */
  #firstRead: Promise<number | null> | undefined;
  #onEnd: (() => void) | undefined;

  /** @param maxAnswerBytes an answer's body beyond this is cut off with the connection */
  constructor(conn: Deno.TcpConn, options: { clock: Clock; maxAnswerBytes: number }) {
    conn.setNoDelay(true);
    this.#conn = conn;
    const { clock, maxAnswerBytes } = options;
    this.#parser = new AnswerParser({ wallMs: () => clock.wallMs(), maxBodyBytes: maxAnswerBytes });
  }

  /**
   * Sends a request and reads its answer.
   *
   * @param head request line and headers, each ended by CR LF, without Content-Length
   * @param body undefined for a request that has none
   * @returns undefined when the connection closes before the answer begins
   * @throws {HttpError}
   */
  async exchange(head: string, body: RequestBody | undefined): Promise<Answer | undefined> {
    this.reusable = false;
    this.#onEnd = undefined;
    this.#parser.reset();
    let written = false;
    // Not awaited: a server may answer, and stop reading, before it has the whole body.
    this.#write(head, body).then(() => written = true, () => {});
    const complete = await this.#read();
    if (this.#failure) throw this.#failure;
    if (complete) {
      const { status, retryAfterMs, head, keepAlive } = this.#parser;
      this.reusable = keepAlive && written;
      return retryAfterMs === undefined ? { status, head } : { status, retryAfterMs, head };
    }
    if (!this.#answered) return undefined;
    throw new HttpError("closed", "Connection closed before the answer was complete");
  }

  /**
   * Watches the connection until the next exchange.
   *
   * @param onEnd called when the server closes it, or says what nobody has asked for
   */
  watch(onEnd: () => void): void {
    this.#onEnd = onEnd;
    const end = () => this.#onEnd?.();
    this.#firstRead = this.#conn.read(this.#in);
    this.#firstRead.then(end, end);
  }

  /** Ends the exchange under way with `error`. */
  fail(error: HttpError): void {
    this.#failure ??= error;
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  /** Reads to the end of the answer; false when the connection closes before. */
  async #read(): Promise<boolean> {
    this.#answered = false;
    try {
      while (true) {
        const count = await (this.#firstRead ?? this.#conn.read(this.#in));
        this.#firstRead = undefined;
        if (count === null) return this.#parser.end();
        this.#answered = true;
        if (this.#parser.push(this.#in.subarray(0, count))) return true;
      }
    } catch (error) {
      if (error instanceof MalformedAnswer) {
        this.#failure ??= new HttpError("malformed", error.message);
      }
      return false;
    }
  }

  /** Head and body go out together: one system call where the socket takes it. */
  async #write(head: string, body = NO_BODY): Promise<void> {
    const length = body === NO_BODY ? "" : `Content-Length: ${body.length}\r\n`;
    const start = `${head}${length}\r\n`;
    // A header can hold a character of up to three bytes.
    const needed = start.length * 3 + body.length;
    if (needed <= KEPT_BYTES && needed > this.#out.length) {
      this.#out = new Uint8Array(2 ** Math.ceil(Math.log2(needed)));
    }
    const buffer = needed <= KEPT_BYTES ? this.#out : borrowBuffer(needed);
    const { written } = encoder.encodeInto(start, buffer);
    body.writeTo(buffer, written);
    await this.#writeAll(buffer.subarray(0, written + body.length));
    if (buffer !== this.#out) returnBuffer(buffer);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let at = await this.#conn.write(bytes);
    while (at < bytes.length) at += await this.#conn.write(bytes.subarray(at));
  }
}

/** Large buffers that no request uses now, by size; zeroing them anew cost more than filling them. */
const spare = new Map<number, Uint8Array[]>();
/** Kept of each size. */
const MAX_SPARE = 8;
/** Larger buffers are for a single huge packet: they are not kept. */
const MAX_SPARE_BYTES = 2 * 1024 * 1024;

function borrowBuffer(needed: number): Uint8Array {
  const size = 2 ** Math.ceil(Math.log2(needed));
  return spare.get(size)?.pop() ?? new Uint8Array(size);
}

function returnBuffer(buffer: Uint8Array): void {
  if (buffer.length > MAX_SPARE_BYTES) return;
  const same = spare.get(buffer.length);
  if (!same) spare.set(buffer.length, [buffer]);
  else if (same.length < MAX_SPARE) same.push(buffer);
}
