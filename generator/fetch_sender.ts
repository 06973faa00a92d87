/** Sends with fetch, for `https:` URLs: slower than raw TCP, but TLS is not worth writing by hand. */

import { type Clock, systemClock } from "../src/clock.ts";
import { type Answer, HttpError, parseRetryAfter, sortFetchError } from "../src/http_error.ts";
import type { Sender, SenderOptions } from "./sender.ts";

/** Sends with fetch. */
export class FetchSender implements Sender {
  readonly #url: URL;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(url: URL, { timeoutMs, clock = systemClock }: SenderOptions) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  async connect(): Promise<void> {
    await this.#request({ method: "HEAD" });
  }

  post(body: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const headers = { "content-type": "application/json" };
    return this.#request({ method: "POST", headers, body });
  }

  close(): void {
    this.#closing.abort();
  }

  async #request(init: RequestInit): Promise<Answer> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => deadline.abort());
    const signal = AbortSignal.any([deadline.signal, this.#closing.signal]);
    try {
      const response = await fetch(this.#url, { ...init, signal, redirect: "manual" });
      await response.arrayBuffer();
      const header = response.headers.get("retry-after");
      const retryAfterMs = header === null
        ? undefined
        : parseRetryAfter(header, this.#clock.wallMs());
      return { status: response.status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    } catch (error) {
      if (this.#closing.signal.aborted) throw new HttpError("interrupted", "Stopped by the sender");
      if (deadline.signal.aborted) {
        throw new HttpError("timeout", `No answer within ${this.#timeoutMs} ms`);
      }
      throw sortFetchError(error);
    } finally {
      cancel();
    }
  }
}
