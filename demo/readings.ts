/**
 * Reads the distributor's metrics four times a second, as any operator could.
 *
 * Always true: each reading is checked against accepted = delivered + dead letters + queued +
 * in flight, in packets and in messages.
 */

import { sleep, systemClock } from "../src/clock.ts";
import type { MetricsView } from "../src/metrics.ts";

const INTERVAL_MS = 250;
const REQUEST_TIMEOUT_MS = 5000;
/** What the table shows as actual is over this time. */
export const RECENT_SECONDS = 3;

export interface Reading {
  readonly atMs: number;
  readonly metrics: MetricsView;
}

/** Something that should have happened did not. */
export class DemoFault extends Error {
  override readonly name = "DemoFault";
}

export class Readings {
  /** Of how many readings, and how many of them did not add up. */
  count = 0;
  unbalanced = 0;
  readonly #url: string;
  readonly #signal: AbortSignal;
  readonly #onReading: (recent: readonly Reading[]) => void;
  #recent: Reading[] = [];
  #next = Promise.withResolvers<Reading>();

  constructor(
    url: string,
    { signal, onReading }: {
      signal: AbortSignal;
      /** Told of the readings of the last {@link RECENT_SECONDS}, the newest last. */
      onReading: (recent: readonly Reading[]) => void;
    },
  ) {
    this.#url = `${url}/api/v1/metrics`;
    this.#signal = signal;
    this.#onReading = onReading;
  }

  /** Reads until the signal; never rejects. */
  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const metrics = await this.#read();
      if (metrics) this.#take({ atMs: systemClock.monotonicMs(), metrics });
      await sleep(INTERVAL_MS, systemClock, this.#signal);
    }
  }

  /** Resolves to the next reading. Rejects with the signal's reason. */
  next(): Promise<Reading> {
    this.#signal.throwIfAborted();
    return abortable(this.#next.promise, this.#signal);
  }

  /**
   * Resolves to the first reading for which the condition holds.
   *
   * @throws {DemoFault} "Not within … seconds: …" when there is none in time
   */
  async until(
    condition: (metrics: MetricsView) => boolean,
    { name, timeoutMs }: { name: string; timeoutMs: number },
  ): Promise<Reading> {
    const endMs = systemClock.monotonicMs() + timeoutMs;
    while (systemClock.monotonicMs() < endMs) {
      const reading = await this.next();
      if (condition(reading.metrics)) return reading;
    }
    throw new DemoFault(`Not within ${timeoutMs / 1000} seconds: ${name}`);
  }

  async #read(): Promise<MetricsView | undefined> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    try {
      const response = await fetch(this.#url, { signal });
      return await response.json();
    } catch {
      // Not up yet, or too busy: the story has its own deadlines.
      return undefined;
    }
  }

  #take(reading: Reading): void {
    this.count++;
    if (!isBalanced(reading.metrics)) this.unbalanced++;
    const oldestMs = reading.atMs - RECENT_SECONDS * 1000 - INTERVAL_MS / 2;
    this.#recent = [...this.#recent.filter(({ atMs }) => atMs >= oldestMs), reading];
    this.#onReading(this.#recent);
    this.#next.resolve(reading);
    this.#next = Promise.withResolvers();
  }
}

/** Whether every accepted packet and message is somewhere. */
export function isBalanced({ accepted, ...rest }: MetricsView): boolean {
  const { delivered, dead_lettered, queued, in_flight } = rest;
  const places = [delivered, dead_lettered, queued, in_flight];
  return accepted.packets === places.reduce((sum, { packets }) => sum + packets, 0) &&
    accepted.messages === places.reduce((sum, { messages }) => sum + messages, 0);
}

/** Rejects with the signal's reason if that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
