/**
 * Sends packets at a steady rate and keeps exactly what was answered to each.
 *
 * Always true: an id is in `acknowledged` only if its packet was answered 202, whole; what went
 * wrong on the way is in `unknown`, since nobody can say whether it was accepted.
 */

import { bodyOf } from "./packets.ts";

const TICK_MS = 10;
const ANSWER_TIMEOUT_MS = 20_000;
const MAX_UNDER_WAY = 256;

export interface DriverOptions {
  /** Asked for each packet: a distributor that was started again is somewhere else. */
  readonly url: () => string;
  /** Begins each id. @default "c" */
  readonly prefix?: string;
}

/** A refusal as the sender saw it. */
export interface Refused {
  readonly status: number;
  readonly tookMs: number;
}

export class Driver {
  readonly attempted = new Set<string>();
  /** In the order of their answers. */
  readonly acknowledged = new Set<string>();
  readonly unknown = new Set<string>();
  readonly refusals: Refused[] = [];
  readonly #options: DriverOptions;
  readonly #underWay = new Set<Promise<number>>();
  #client = Deno.createHttpClient({ poolMaxIdlePerHost: MAX_UNDER_WAY });
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastAckMs = 0;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** When the last 202 came, on the clock of performance.now(). */
  get lastAckMs(): number {
    return this.#lastAckMs;
  }

  /** Posts the next packet; resolves to its status, or 0 without an answer. */
  async post(): Promise<number> {
    const id = `${this.#options.prefix ?? "c"}${this.attempted.size}`;
    this.attempted.add(id);
    const startedMs = performance.now();
    const status = await this.#exchange(bodyOf(id));
    if (status === 202) {
      this.acknowledged.add(id);
      this.#lastAckMs = performance.now();
    } else if (status === 0) this.unknown.add(id);
    else this.refusals.push({ status, tookMs: performance.now() - startedMs });
    return status;
  }

  /** Begins a stream of packets; those that are late are sent at once. */
  start(packetsPerSecond: number): void {
    const startedMs = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      const due = (performance.now() - startedMs) / 1000 * packetsPerSecond;
      while (sent < due && this.#underWay.size < MAX_UNDER_WAY) {
        sent++;
        this.#track(this.post());
      }
    }, TICK_MS);
  }

  /** Ends the stream; resolves when all that is under way has been answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Posts that many, some at a time, as fast as they are answered; `until` true ends it early. */
  async burst(
    count: number,
    { concurrency = 64, until = () => false }: { concurrency?: number; until?: () => boolean } = {},
  ): Promise<void> {
    let left = count;
    const send = async () => {
      while (left-- > 0 && !until()) await this.post();
    };
    await Promise.all(Array.from({ length: concurrency }, send));
  }

  /** Closes the connections that are kept for later packets. */
  disconnect(): void {
    this.#client.close();
    this.#client = Deno.createHttpClient({ poolMaxIdlePerHost: MAX_UNDER_WAY });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#client.close();
  }

  #track(post: Promise<number>): void {
    const tracked = post.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #exchange(body: string): Promise<number> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), ANSWER_TIMEOUT_MS);
    try {
      const response = await fetch(`${this.#options.url()}/api/v1/logs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        client: this.#client,
        signal: controller.signal,
      });
      await response.body?.pipeTo(new WritableStream());
      return response.status;
    } catch {
      return 0;
    } finally {
      clearTimeout(timer);
    }
  }
}
