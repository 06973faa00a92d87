/**
 * A clock that stands still until a test moves it.
 *
 * Stricter than the real one: a delay that is not a number ≥ 0 throws. Timers fire in the order of
 * their due times, each at exactly its own; what they start in turn is served in the same move.
 */

import type { Cancel, LoopClock } from "../../src/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly fn: () => void;
}

export class FakeClock implements LoopClock {
  #nowMs: number;
  #wallOriginMs: number;
  readonly #timers = new Set<Timer>();

  constructor(start: { monotonicMs?: number; wallMs?: number } = {}) {
    this.#nowMs = start.monotonicMs ?? 0;
    this.#wallOriginMs = (start.wallMs ?? Date.UTC(2024, 0, 2, 3, 4, 5, 678)) - this.#nowMs;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOriginMs + this.#nowMs;
  }

  after(delayMs: number, fn: () => void): Cancel {
    if (!(delayMs >= 0)) throw new RangeError(`Cannot set a timer: its delay is ${delayMs}`);
    const timer = { dueMs: this.#nowMs + delayMs, fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Fires with the next move, even one of 0 ms. */
  soon(fn: () => void): void {
    this.after(0, fn);
  }

  /** Moves both clocks on, firing what becomes due. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let timer = this.#next(untilMs); timer; timer = this.#next(untilMs)) {
      this.#timers.delete(timer);
      this.#nowMs = timer.dueMs;
      timer.fn();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass in which nothing could run: what became due meanwhile fires at its end. */
  stall(ms: number): void {
    this.#nowMs += ms;
    for (let timer = this.#next(this.#nowMs); timer; timer = this.#next(this.#nowMs)) {
      this.#timers.delete(timer);
      timer.fn();
    }
  }

  /** Sets the wall clock, as an administrator or NTP would; the monotonic one does not notice. */
  stepWall(wallMs: number): void {
    this.#wallOriginMs = wallMs - this.#nowMs;
  }

  /** The earliest timer due by then; of equals the one set first. */
  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && !(next && next.dueMs <= timer.dueMs)) next = timer;
    }
    return next;
  }
}
