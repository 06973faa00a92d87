/**
 * The only door to time. Durations are measured on the monotonic clock, so that a step of the
 * wall clock moves nothing; the wall clock is for what people and packets read.
 */

import { setImmediate } from "node:timers";

/** Cancels a timer; harmless when it has fired. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds on a clock that never steps; its origin means nothing. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Cancel;
}

/** A clock that also knows the turns of the event loop. */
export interface LoopClock extends Clock {
  /** Calls `fn` once, when what the event loop has ready now has been seen to. */
  soon(fn: () => void): void;
}

/** Time as the platform gives it. */
export const systemClock: LoopClock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
  // A timer of 0 ms takes milliseconds where many are set.
  soon: (fn) => void setImmediate(fn),
};

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
export function sleep(delayMs: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener("abort", done);
  });
}

/** A time for people: three decimals are as many as they read. */
export function roundMilli(value: number): number {
  return Math.round(value * 1000) / 1000;
}
