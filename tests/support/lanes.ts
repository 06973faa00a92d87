/** Lanes with all that is behind them, over deliveries that end as a test says. */

import { assert } from "@std/assert";
import type { Batch, Delivery } from "../../src/delivery.ts";
import { DEFAULT_HEALTH } from "../../src/health.ts";
import { type LaneDoors, type LaneLimits, maxLoad } from "../../src/lane.ts";
import type { Outcome } from "../../src/outcome.ts";
import { type Packet, sealPacket } from "../../src/packet.ts";
import { MemoryQueue } from "../../src/queue/memory.ts";
import { seededRandom } from "../../src/random.ts";
import { Registry } from "../../src/registry.ts";
import { Lanes, runWorkers } from "../../src/worker.ts";
import { FakeClock } from "./fake_clock.ts";
import { quietLog } from "./quiet_log.ts";

export type Failed = Exclude<Outcome, { kind: "delivered" }>;

export const LIMITS: LaneLimits = {
  maxInFlight: 64,
  maxBatchesInFlight: 4,
  maxBatchPackets: 256,
  maxBatchBytes: 1024 * 1024,
};
export const DELIVERED: Outcome = { kind: "delivered", status: 200, latencyMs: 1 };
export const REFUSED: Failed = { kind: "retriable", failure: "connect", detail: "refused" };

export function answer(status: number, retryAfterMs?: number): Failed {
  const detail = `HTTP ${status}`;
  if ([400, 413].includes(status)) return { kind: "rejected", failure: "http_4xx", status, detail };
  const failure = status >= 500 ? "http_5xx" : "http_4xx";
  return {
    kind: "retriable",
    failure,
    status,
    detail,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** One request as the script sees it. */
interface Post {
  /** The analyzer. */
  readonly to: string;
  readonly ids: readonly string[];
  readonly attempts: readonly number[];
  readonly atMs: number;
}

/** Queue, registry, lanes and one worker over a delivery that does what the test says. */
export class Setup implements AsyncDisposable {
  readonly clock = new FakeClock({ monotonicMs: 50_000 });
  readonly queue = new MemoryQueue({ capacity: 10_000, capacityBytes: 1e9 }, this.clock);
  readonly posts: Post[] = [];
  readonly registry: Registry;
  /** What an analyzer answers; changed by tests at any time. */
  respond: (post: Post) => Outcome | Promise<Outcome>;
  readonly #workers: Promise<void>;
  #stopped = false;

  constructor(ids: string, respond: Setup["respond"], options: {
    limits?: Partial<LaneLimits>;
    batches?: boolean;
    maxRetries?: number;
    intervalMs?: number;
  } = {}) {
    const { clock, queue } = this;
    this.respond = respond;
    const limits = { ...LIMITS, ...options.limits };
    const random = seededRandom(7);
    const log = quietLog();
    this.registry = new Registry({
      health: DEFAULT_HEALTH,
      maxLoad: (analyzer) => maxLoad(analyzer, limits),
    }, { clock, random, log });
    const doors: LaneDoors = {
      ...{ queue, clock, random, log, limits, registry: this.registry },
      delivery: { post: (url, batch) => this.#post(url, batch), forget() {}, close() {} },
      policy: { maxRetries: options.maxRetries ?? 5, intervalMs: options.intervalMs ?? 200 },
      isStopped: () => this.#stopped,
    };
    for (const id of ids) {
      this.registry.put({ id, url: id, weight: 1 });
      this.registry.get(id)!.batches = options.batches ?? true;
    }
    this.#workers = runWorkers(1, { lanes: new Lanes(doors), doors });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.queue.close();
    this.registry.close();
    await this.#workers;
  }

  accept(ids: readonly string[], bytes = 100): void {
    for (const id of ids) assert(this.queue.accept(createPacket(id, bytes)));
  }

  /** Lets everything go on that waits for no timer. */
  async turn(): Promise<void> {
    for (let i = 0; i < 500; i++) await Promise.resolve();
  }

  /** Moves the clock on by small steps, and everything with it. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5) {
      await this.turn();
      this.clock.advance(5);
    }
    await this.turn();
  }

  async settle(): Promise<void> {
    for (let seconds = 0; seconds < 120; seconds++) {
      const { ledger } = this.queue;
      if (ledger.count("queued").packets + ledger.count("in_flight").packets === 0) return;
      await this.pass(1000);
    }
    throw new Error("It never ends");
  }

  get dead(): string[] {
    return this.queue.deadLetters.list({ offset: 0, limit: 1e6 }).map(({ packetId }) => packetId);
  }

  get delivered(): number {
    return this.queue.ledger.count("delivered").packets;
  }

  /** States of all analyzers, in order. */
  get states(): string[] {
    return this.registry.views().map(({ state }) => state);
  }

  async #post(to: string, batch: Batch): ReturnType<Delivery["post"]> {
    const post = {
      to,
      ids: batch.map(({ id }) => id),
      attempts: batch.map(({ attempts }) => attempts),
      atMs: this.clock.monotonicMs(),
    };
    this.posts.push(post);
    return await this.respond(post);
  }
}

export function createPacket(id: string, bytes: number): Packet {
  const shape = { messages: 1, packetId: id, closeAt: 0, multiline: false };
  const options = { receivedAt: "", acceptedAtMs: 0, newId: () => id };
  return { ...sealPacket(new Uint8Array(1), shape, options), bytes };
}

export function numbered(count: number, prefix = "good"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
}
