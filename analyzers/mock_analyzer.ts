/**
 * An analyzer that only counts, over HTTP, with faults that can be turned on while it runs.
 *
 * Run by `main.ts` as a program and by flow tests in their own process. A request that an injected
 * fault fails, hangs or cuts is not counted: what is counted has been processed.
 */

import { Hono } from "@hono/hono";
import { type Clock, systemClock } from "../src/clock.ts";
import { type Random, systemRandom } from "../src/random.ts";
import { Analysis, answerUnhung, type Journal } from "./analysis.ts";
import { allowOnly } from "./answers.ts";
import { addControl, type FaultControl } from "./control.ts";
import { drawHang, flapPhase, type Knobs, NO_FAULTS } from "./faults.ts";
import { Holds } from "./holds.ts";
import { Listener, ListenError } from "./listener.ts";
import { type Stats, Tally } from "./tally.ts";

export type { FaultControl, Knobs, Stats };

/** How a mock analyzer is made; every field has a default. */
export interface MockAnalyzerOptions {
  /** @default "analyzer1" */
  readonly id?: string;
  /** `localhost` is both loopback addresses. @default "127.0.0.1" */
  readonly host?: string;
  /** 0 takes any free one. @default 0 */
  readonly port?: number;
  /** A second listener for /stats and /faults that no fault closes; 0 takes any. @default none */
  readonly controlPort?: number | undefined;
  /** Offers and accepts NDJSON batches. @default true */
  readonly batches?: boolean;
  /** Packet ids kept, at most. @default 1,000,000 */
  readonly remember?: number;
  /** Faults on from the start; durations in milliseconds. @default none */
  readonly faults?: Partial<Knobs>;
  /** Told of each packet that is about to be answered 2xx. @default none */
  readonly journal?: Journal | undefined;
  /** @default systemClock */
  readonly clock?: Clock;
  /** @default systemRandom */
  readonly random?: Random;
}

/** How long close() waits for what is in, and then for its connections to break. */
const CLOSE_GRACES_MS = [1000, 100];
const REOPEN_INTERVAL_MS = 200;

/**
 * Starts a mock analyzer in this process.
 *
 * @throws {ListenError} when a port cannot be had
 */
export function startMockAnalyzer(options: MockAnalyzerOptions = {}): Promise<MockAnalyzer> {
  return MockAnalyzer.start(options);
}

/** A running mock analyzer. */
export class MockAnalyzer {
  readonly id: string;
  readonly faults: FaultControl = {
    read: () => this.#knobs,
    set: (change) => this.#turnKnobs({ ...this.#knobs, ...change }),
    clear: () => this.#turnKnobs(NO_FAULTS),
  };

  readonly #clock: Clock;
  readonly #random: Random;
  readonly #startedMs: number;
  readonly #tally: Tally;
  readonly #holds: Holds;
  readonly #analysis: Analysis;
  readonly #listener: Listener;
  readonly #control: Listener | undefined;
  #knobs = NO_FAULTS;
  #flapStartedMs = 0;
  #closed = false;
  #following = Promise.resolve();
  #cancelTimer = () => {};

  private constructor(options: MockAnalyzerOptions) {
    const { id = "analyzer1", host = "127.0.0.1", port = 0, controlPort } = options;
    this.id = id;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#startedMs = this.#clock.monotonicMs();
    this.#tally = new Tally(options.remember ?? 1_000_000);
    this.#holds = new Holds(this.#clock);
    this.#analysis = new Analysis({
      batches: options.batches ?? true,
      tally: this.#tally,
      holds: this.#holds,
      random: this.#random,
      readKnobs: () => this.#knobs,
      journal: options.journal,
    });
    const onFailure = () => this.#followLater(REOPEN_INTERVAL_MS);
    this.#listener = new Listener(this.#buildApp().fetch, { host, port, onFailure });
    this.#control = controlPort === undefined
      ? undefined
      : new Listener(addControl(new Hono(), { analyzer: this, mayRefuse: true }).fetch, {
        host,
        port: controlPort,
      });
  }

  /** Called by {@link startMockAnalyzer}. */
  static async start(options: MockAnalyzerOptions): Promise<MockAnalyzer> {
    const analyzer = new MockAnalyzer(options);
    try {
      analyzer.#listener.open();
      analyzer.#control?.open();
    } catch (error) {
      await analyzer.kill();
      throw error;
    }
    await analyzer.faults.set(options.faults ?? {});
    return analyzer;
  }

  get url(): string {
    return this.#listener.url;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Where /stats and /faults stay reachable; undefined without a control port. */
  get controlUrl(): string | undefined {
    return this.#control?.url;
  }

  /** What `GET /stats` answers. */
  stats(): Stats {
    const uptimeMs = this.#clock.monotonicMs() - this.#startedMs;
    return this.#tally.read({ id: this.id, uptimeMs });
  }

  /** How often each packet id was processed; packets without one are under "". */
  ids(): Map<string, number> {
    return this.#tally.ids();
  }

  resetStats(): void {
    this.#tally.reset();
  }

  /** Frees the port at once, answers what is in (for a second at most), then resolves. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    const closing = Promise.all([this.#listener.close(), this.#control?.close(), this.#following]);
    this.#holds.release();
    for (const graceMs of CLOSE_GRACES_MS) {
      await Promise.race([closing, this.#holds.delay(graceMs)]);
      this.#holds.cut();
    }
  }

  /** Frees the port at once and breaks its connections: what clients see of a kill -9. */
  async kill(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    await Promise.all([this.#cutListener(), this.#control?.cut(), this.#following]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #turnKnobs(knobs: Knobs): Promise<void> {
    if (knobs.flap !== this.#knobs.flap) this.#flapStartedMs = this.#clock.monotonicMs();
    this.#knobs = Object.freeze(knobs);
    if (knobs.hangRate === 0) this.#holds.release();
    return this.#follow();
  }

  /** Brings the listener to where the knobs want it; one change at a time. */
  #follow(): Promise<void> {
    this.#following = this.#following.then(() => this.#followOnce());
    return this.#following;
  }

  #followLater(delayMs: number): void {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#cancelTimer = this.#clock.after(Math.max(1, delayMs), () => this.#follow());
  }

  async #followOnce(): Promise<void> {
    this.#cancelTimer();
    if (this.#closed) return;
    let wanted = !this.#knobs.refuse;
    if (this.#knobs.flap > 0) {
      const elapsedMs = this.#clock.monotonicMs() - this.#flapStartedMs;
      const { up, remainingMs } = flapPhase(this.#knobs.flap, elapsedMs);
      wanted &&= up;
      this.#followLater(remainingMs);
    }
    if (wanted && !this.#listener.isOpen) this.#reopen();
    if (!wanted && this.#listener.isOpen) await this.#cutListener();
  }

  /** In this order: an answer to a hold before the listener is gone would still be sent. */
  async #cutListener(): Promise<void> {
    await this.#listener.cut();
    this.#holds.cut();
  }

  /** While the port was closed anybody may have taken it, an outgoing connection even. */
  #reopen(): void {
    try {
      this.#listener.open();
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      this.#followLater(REOPEN_INTERVAL_MS);
    }
  }

  #buildApp(): Hono {
    const app = new Hono();
    app.post("/analyze", (context) => this.#analysis.answer(context.req.raw));
    app.get("/health", () => this.#answerHealth());
    allowOnly(app, "/analyze", "POST");
    allowOnly(app, "/health", "GET, HEAD");
    return addControl(app, { analyzer: this, mayRefuse: false });
  }

  async #answerHealth(): Promise<Response> {
    if (drawHang(this.#knobs, this.#random)) return answerUnhung(await this.#holds.hang());
    const { unhealthy } = this.#knobs;
    return Response.json({ status: unhealthy ? "unhealthy" : "healthy", id: this.id }, {
      status: unhealthy ? 503 : 200,
      headers: { "accept-post": this.#analysis.accepts },
    });
  }
}
