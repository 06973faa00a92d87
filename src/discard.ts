/**
 * Reads on and forgets the bodies of requests that were refused before their end.
 *
 * Older runtimes close a connection whose body nobody has read, and a client that is still sending
 * then often sees a reset in the answer's place (RFC 9112, section 9.6). So what comes is read for
 * a while first, since nobody can read once the answer is out: a client that trickles gets it that
 * much later. Newer runtimes then read on by themselves, for as long as the client sends.
 * One for all routes of a thread.
 */

import type { Clock } from "./clock.ts";

/** After such a silence the rest is not waited for. */
const SILENCE_MS = 200;
/** Nor after this time, or so many bytes, however much comes. */
const LIMIT_MS = 5_000;
const LIMIT_BYTES = 16 * 1024 * 1024;
/** Bodies that are announced as longer, or not at all, are read on only a few at a time. */
const SHORT_BYTES = 64 * 1024;
const MAX_LONG = 32;

export class Discarder {
  readonly #clock: Clock;
  #long = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when the body has ended or is not read on. Never rejects. */
  async discard(request: Request): Promise<void> {
    const { body } = request;
    if (body === null || body.locked) return;
    const length = request.headers.get("content-length");
    if (length !== null && Number(length) <= SHORT_BYTES) return await this.#readOn(body);
    if (this.#long >= MAX_LONG) return;
    this.#long++;
    await this.#readOn(body);
    this.#long--;
  }

  async #readOn(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const reader = body.getReader();
    const stop = () => void reader.cancel().catch(() => {});
    const cancelLimit = this.#clock.after(LIMIT_MS, stop);
    let cancelSilence = this.#clock.after(SILENCE_MS, stop);
    let bytes = 0;
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        bytes += read.value.length;
        if (bytes > LIMIT_BYTES) break;
        // Frees the memory now: many bodies make much garbage before it is collected.
        read.value.buffer.transfer(0);
        cancelSilence();
        cancelSilence = this.#clock.after(SILENCE_MS, stop);
      }
    } catch {
      // The client went away: there is nobody left to answer.
    } finally {
      cancelSilence();
      cancelLimit();
      stop();
    }
  }
}
