/**
 * Reads HTTP/1.1 answers from bytes as they come: lengths, chunks, or until the connection closes.
 *
 *   head ──┬─ length ──┬─ done        interim answers (1xx) lead back to head;
 *          ├─ chunks ──┤              bodies are dropped, only where they end matters
 *          └─ rest ────┘ (by end())
 */

import { parseRetryAfter } from "./http_error.ts";

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE_BYTES = 256;
const LF = 10;
const CR = 13;

/** Bytes that are no HTTP/1.1 answer. */
export class MalformedAnswer extends Error {
  override readonly name = "MalformedAnswer";
}

/** Parses one answer after the other; {@link reset} between them. */
export class AnswerParser {
  status = 0;
  retryAfterMs: number | undefined;
  /** The whole head, in lower case. */
  head = "";
  /** Whether the connection can be used again once the answer is done. */
  keepAlive = true;
  readonly #decoder = new TextDecoder();
  readonly #wallMs: () => number;
  readonly #maxBodyBytes: number;
  #bodyBytes = 0;
  #state: "head" | "length" | "chunks" | "rest" | "done" = "head";
  #carried: Uint8Array | undefined;
  #remaining = 0;
  #chunks = new ChunkReader();

  /** @param options a body beyond `maxBodyBytes` ends the answer, and with it the connection */
  constructor(options: { wallMs: () => number; maxBodyBytes: number }) {
    this.#wallMs = options.wallMs;
    this.#maxBodyBytes = options.maxBodyBytes;
  }

  reset(): void {
    this.#state = "head";
    this.#carried = undefined;
    this.#bodyBytes = 0;
    this.status = 0;
    this.retryAfterMs = undefined;
  }

  /**
   * Takes the next bytes; true once the answer is complete.
   *
   * @throws {MalformedAnswer}
   */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      const left = at === 0 ? bytes : bytes.subarray(at);
      at += this.#state === "head" ? this.#takeHead(left) : this.#takeBoundedBody(left);
    }
    // More than was asked for: nobody knows what it belongs to.
    if (at < bytes.length) this.keepAlive = false;
    return this.#state === "done";
  }

  /** The connection has closed; true if that is how this answer ends. */
  end(): boolean {
    return this.#state === "rest";
  }

  #takeHead(bytes: Uint8Array): number {
    const carriedLength = this.#carried?.length ?? 0;
    const all = this.#carried ? concatenate(this.#carried, bytes) : bytes;
    const end = findHeadEnd(all, Math.max(0, carriedLength - 3));
    if (end === -1) {
      if (all.length > MAX_HEAD_BYTES) throw new MalformedAnswer("Answer's head is over 64 KiB");
      this.#carried = all.slice();
      return bytes.length;
    }
    this.#carried = undefined;
    this.#readHead(this.#decoder.decode(all.subarray(0, end)).toLowerCase());
    return end - carriedLength;
  }

  #readHead(head: string): void {
    if (!/^http\/1\.[01] [1-9]\d\d[ \r]/.test(head)) {
      throw new MalformedAnswer(`Not an HTTP/1.1 answer: ${JSON.stringify(head.slice(0, 40))}`);
    }
    this.head = head;
    this.status = Number(head.slice(9, 12));
    if (this.status < 200) return;
    const connection = findHeader(head, "connection");
    this.keepAlive = head[7] === "1" ? connection !== "close" : connection === "keep-alive";
    const retryAfter = findHeader(head, "retry-after");
    if (retryAfter !== undefined) this.retryAfterMs = parseRetryAfter(retryAfter, this.#wallMs());
    this.#chooseBody(head);
  }

  #chooseBody(head: string): void {
    const length = findHeader(head, "content-length");
    if (this.status === 204 || this.status === 304) {
      this.#state = "done";
    } else if (findHeader(head, "transfer-encoding")?.endsWith("chunked")) {
      this.#state = "chunks";
      this.#chunks = new ChunkReader();
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new MalformedAnswer("Content-Length is not a number");
      this.#remaining = Number(length);
      this.#state = this.#remaining === 0 ? "done" : "length";
    } else {
      this.#state = "rest";
      this.keepAlive = false;
    }
  }

  #takeBoundedBody(bytes: Uint8Array): number {
    const taken = this.#takeBody(bytes);
    this.#bodyBytes += taken;
    if (this.#bodyBytes > this.#maxBodyBytes) {
      this.#state = "done";
      this.keepAlive = false;
    }
    return taken;
  }

  #takeBody(bytes: Uint8Array): number {
    if (this.#state === "rest") return bytes.length;
    if (this.#state === "chunks") {
      const taken = this.#chunks.take(bytes);
      if (this.#chunks.done) this.#state = "done";
      return taken;
    }
    const taken = Math.min(this.#remaining, bytes.length);
    this.#remaining -= taken;
    if (this.#remaining === 0) this.#state = "done";
    return taken;
  }
}

/** Finds where a chunked body ends: size line, that many bytes, CRLF, … 0, trailers, empty line. */
class ChunkReader {
  done = false;
  #line = "";
  #data = 0;
  #expects: "size" | "data" | "gap" | "trailer" = "size";

  /** Returns how many of the bytes belong to the body. */
  take(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.done) {
      if (this.#expects === "data") {
        const skipped = Math.min(this.#data, bytes.length - at);
        this.#data -= skipped;
        at += skipped;
        if (this.#data === 0) this.#expects = "gap";
      } else {
        this.#takeLineByte(bytes[at++]!);
      }
    }
    return at;
  }

  #takeLineByte(byte: number): void {
    if (byte === CR) return;
    if (byte !== LF) {
      if (this.#line.length >= MAX_CHUNK_LINE_BYTES) {
        throw new MalformedAnswer("Chunk line too long");
      }
      this.#line += String.fromCharCode(byte);
      return;
    }
    const line = this.#line;
    this.#line = "";
    if (this.#expects === "trailer") this.done = line === "";
    else if (this.#expects === "size") this.#readSize(line);
    else if (line === "") this.#expects = "size";
    else throw new MalformedAnswer("Chunk is longer than it says");
  }

  #readSize(line: string): void {
    const match = /^([0-9a-f]{1,12})[ \t]*(;|$)/i.exec(line);
    if (!match) throw new MalformedAnswer("Chunk size is not a number");
    this.#data = parseInt(match[1]!, 16);
    this.#expects = this.#data === 0 ? "trailer" : "data";
  }
}

/** Returns the index behind CR LF CR LF, or -1. */
function findHeadEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(LF, from + 3); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return -1;
}

/** Returns a header's value; `head` is in lower case. */
export function findHeader(head: string, name: string): string | undefined {
  const at = head.indexOf(`\r\n${name}:`);
  if (at === -1) return undefined;
  const from = at + name.length + 3;
  return head.slice(from, head.indexOf("\r\n", from)).trim();
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
