/**
 * Reads request bodies within bounds: the size of each, the memory of all under way, and time.
 *
 * Always true: while a body is read, its memory is reserved in the room. Once it has been read,
 * exactly its length is, until the caller gives that back; a body that failed holds nothing. One
 * exception: what is being inflated, one body at a time in a thread, is reserved when its size is
 * known.
 */

import { gunzipSync } from "node:zlib";
import type { Clock } from "./clock.ts";
import { ApiError } from "./errors.ts";

/** Bodies announced to be no larger are read the quickest way, which cannot be broken off. */
const QUICK_BODY_BYTES = 64 * 1024;
/** Any other body takes up to so many times the memory of what has come of it. */
const GROWTH = 4;
/** It must be there within this time. */
const BODY_TIMEOUT_MS = 15_000;

/** The memory that bodies may take. */
export interface Room {
  readonly capacityBytes: number;
  /** Takes bytes, or says no because they are not there. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
}

export interface BodyReaderOptions {
  /** Holds for a body as sent and as inflated. */
  readonly maxBytes: number;
  readonly room: Room;
  readonly clock: Clock;
  /** The answer to a body for which there is no room. */
  readonly full: () => ApiError;
}

export class BodyReader {
  readonly #options: BodyReaderOptions;
  readonly #maxQuickBytes: number;
  /** Announced bytes of the bodies that are read the quickest way now. */
  #quickBytes = 0;

  constructor(options: BodyReaderOptions) {
    this.#options = options;
    // A client that never ends its short body keeps its part for ever, so not all may be theirs.
    this.#maxQuickBytes = options.room.capacityBytes / 4;
  }

  /**
   * The announced length of a body; NaN when there is none.
   *
   * @throws {ApiError} BODY_TOO_LARGE
   */
  announced(request: Request): number {
    const text = request.headers.get("content-length");
    if (text === null) return NaN;
    const length = Number(text);
    if (length > this.#options.maxBytes) throw tooLarge(this.#options.maxBytes);
    return length;
  }

  /**
   * Reads a body, inflating `Content-Encoding: gzip`.
   *
   * @param length what is announced, NaN if nothing is
   * @throws {ApiError} BODY_TOO_LARGE, UNSUPPORTED_ENCODING, INVALID_ENCODING, BODY_INCOMPLETE,
   *   BODY_TIMEOUT, and that of `full`
   */
  read(request: Request, length: number): Promise<Uint8Array> {
    const encoding = request.headers.get("content-encoding");
    // What nearly every body is goes by the shortest way.
    return encoding === null && this.#isQuick(length)
      ? this.#readQuick(request, length)
      : this.#readSlowly(request, { length, encoding });
  }

  #isQuick(length: number): boolean {
    return length <= QUICK_BODY_BYTES && this.#quickBytes + length <= this.#maxQuickBytes;
  }

  async #readQuick(request: Request, length: number): Promise<Uint8Array> {
    const { room, full } = this.#options;
    if (!room.reserve(length)) throw full();
    this.#quickBytes += length;
    try {
      return await request.bytes();
    } catch {
      room.release(length);
      throw incomplete();
    } finally {
      this.#quickBytes -= length;
    }
  }

  async #readSlowly(
    request: Request,
    { length, encoding }: { length: number; encoding: string | null },
  ): Promise<Uint8Array> {
    const isGzip = parseEncoding(encoding) === "gzip";
    const claim = new Claim(this.#options);
    try {
      const sent = await this.#receive(request, { length, claim });
      // At once, not beside others: so what it inflates to needs no room before it is known.
      const body = isGzip ? inflate(sent, this.#options.maxBytes) : sent;
      claim.set(body.length);
      return body;
    } catch (error) {
      claim.set(0);
      throw error;
    }
  }

  /** Reads what is sent, in its own time, into one buffer: chunks kept would take several times. */
  async #receive(
    request: Request,
    { length, claim }: { length: number; claim: Claim },
  ): Promise<Uint8Array> {
    const { maxBytes, clock } = this.#options;
    const filling = new Filling({ maxBytes, announcedBytes: length, claim });
    const reader = request.body?.getReader();
    if (!reader) return filling.bytes();
    let isLate = false;
    const cancelTimeout = clock.after(BODY_TIMEOUT_MS, () => {
      isLate = true;
      void reader.cancel().catch(() => {});
    });
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        filling.add(read.value);
      }
    } catch (error) {
      throw error instanceof ApiError ? error : incomplete();
    } finally {
      cancelTimeout();
      // So that whoever refuses the request can read on.
      reader.releaseLock();
    }
    if (isLate) throw timedOut();
    return filling.bytes();
  }
}

/** A room that only bodies under way take from. */
export class FixedRoom implements Room {
  readonly capacityBytes: number;
  #reservedBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  reserve(bytes: number): boolean {
    if (this.#reservedBytes + bytes > this.capacityBytes) return false;
    this.#reservedBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#reservedBytes -= bytes;
  }
}

/** The part of the room that one body takes. */
class Claim {
  readonly #room: Room;
  readonly #full: () => ApiError;
  #bytes = 0;

  constructor({ room, full }: { room: Room; full: () => ApiError }) {
    this.#room = room;
    this.#full = full;
  }

  set(bytes: number): void {
    const more = bytes - this.#bytes;
    if (more > 0 && !this.#room.reserve(more)) throw this.#full();
    if (more < 0) this.#room.release(-more);
    this.#bytes = bytes;
  }
}

/**
 * One buffer that is filled by chunks. It grows with what comes: room for what is only announced
 * could be taken from all others by clients that send nothing.
 */
class Filling {
  readonly #maxBytes: number;
  readonly #claim: Claim;
  /** It need never be larger. */
  readonly #wholeBytes: number;
  #buffer = new Uint8Array(0);
  #length = 0;

  /** @param options.announcedBytes NaN if nothing is */
  constructor(
    { maxBytes, announcedBytes, claim }: {
      maxBytes: number;
      announcedBytes: number;
      claim: Claim;
    },
  ) {
    this.#maxBytes = maxBytes;
    this.#claim = claim;
    this.#wholeBytes = announcedBytes || maxBytes;
  }

  add(chunk: Uint8Array<ArrayBuffer>): void {
    const length = this.#length + chunk.length;
    if (length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    if (length > this.#buffer.length) {
      this.#grow(Math.max(length, Math.min(this.#wholeBytes, GROWTH * length)));
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
    // Frees its memory now: many bodies make much garbage before it is collected.
    chunk.buffer.transfer(0);
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(bytes: number): void {
    this.#claim.set(bytes);
    // Gives the old memory back at once.
    this.#buffer = new Uint8Array(this.#buffer.buffer.transfer(bytes));
  }
}

/** Whether a body is compressed. */
function parseEncoding(header: string | null): "identity" | "gzip" {
  const encoding = (header ?? "").trim().toLowerCase();
  if (encoding === "gzip" || encoding === "x-gzip") return "gzip";
  if (encoding === "" || encoding === "identity") return "identity";
  throw new ApiError(
    "UNSUPPORTED_ENCODING",
    `Content-Encoding ${JSON.stringify(encoding)} is not supported: send gzip or none`,
    { "accept-encoding": "gzip" },
  );
}

function inflate(sent: Uint8Array, maxBytes: number): Uint8Array {
  try {
    return gunzipSync(sent, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new ApiError("INVALID_ENCODING", "The body is not valid gzip");
  }
}

/** What fails while a body is read is the client's going away. */
function incomplete(): ApiError {
  return new ApiError("BODY_INCOMPLETE", "The body ended before its announced length");
}

function timedOut(): ApiError {
  return new ApiError(
    "BODY_TIMEOUT",
    `The body did not arrive within ${BODY_TIMEOUT_MS / 1000} s: send smaller packets`,
    { connection: "close" },
  );
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(
    "BODY_TOO_LARGE",
    `The body is larger than ${maxBytes} bytes, sent or inflated: send smaller packets, or raise --max-body`,
  );
}
