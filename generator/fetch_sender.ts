/** Sends with fetch, for `https:` URLs: slower than raw TCP, but TLS is not worth writing by hand. */

import { type Clock, systemClock } from "../src/clock.ts";
import type { Answer } from "../src/http_error.ts";
import { answerOf, fetchWithin } from "../src/http_fetch.ts";
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

  #request(init: RequestInit): Promise<Answer> {
    return fetchWithin(this.#url, {
      init,
      timeoutMs: this.#timeoutMs,
      clock: this.#clock,
      signal: this.#closing.signal,
      read: async (response) => {
        await response.arrayBuffer();
        return answerOf(response, this.#clock);
      },
    });
  }
}
