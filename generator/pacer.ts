/**
 * The open-loop schedule: packet n is due n / rate seconds after the start, whatever the answers do.
 *
 * {@link Schedule} is arithmetic only, so that no rounding adds up and packets that wait need no
 * memory. {@link Pacer} wakes up when the next one is due: about each millisecond at most, with
 * several packets due at once at high rates.
 */

import type { Cancel, Clock } from "../src/clock.ts";

/** How fast, how long and how many; the first end counts. */
export interface ScheduleOptions {
  readonly ratePerSecond: number;
  /** @default Infinity */
  readonly durationMs?: number | undefined;
  /** @default Infinity */
  readonly packets?: number | undefined;
}

/** When each packet is due, in milliseconds since the start. Pure. */
export class Schedule {
  /** Packets in all; Infinity when only an interruption ends the run. */
  readonly total: number;
  readonly #ratePerMs: number;

  constructor({ ratePerSecond, durationMs = Infinity, packets = Infinity }: ScheduleOptions) {
    this.#ratePerMs = ratePerSecond / 1000;
    // 0.1 × 30 is 3.0000000000000004: that is three packets, not four.
    const fitting = Math.ceil(durationMs * this.#ratePerMs * (1 - 1e-12));
    this.total = Math.min(packets, fitting);
  }

  /** When packet `index` (from 0) is due. */
  dueAtMs(index: number): number {
    return index / this.#ratePerMs;
  }

  /** How many packets are due by `elapsedMs`. */
  countDueBy(elapsedMs: number): number {
    let count = Math.max(0, Math.floor(elapsedMs * this.#ratePerMs) + 1);
    // Division and multiplication round differently: dueAtMs() has the say.
    if (this.dueAtMs(count) <= elapsedMs) count++;
    else if (count > 0 && this.dueAtMs(count - 1) > elapsedMs) count--;
    return Math.min(count, this.total);
  }
}

/** Calls `onDue` with the number of packets due so far, each time that it has grown. */
export class Pacer {
  readonly #schedule: Schedule;
  readonly #clock: Clock;
  readonly #onDue: (count: number) => void;
  #startMs = 0;
  #count = 0;
  #cancel: Cancel | undefined;

  constructor(schedule: Schedule, { clock, onDue }: {
    readonly clock: Clock;
    readonly onDue: (count: number) => void;
  }) {
    this.#schedule = schedule;
    this.#clock = clock;
    this.#onDue = onDue;
  }

  start(): void {
    this.#startMs = this.#clock.monotonicMs();
    this.#tick();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tick(): void {
    const count = this.#schedule.countDueBy(this.#clock.monotonicMs() - this.#startMs);
    // Armed before the call, so that stop() works from inside onDue.
    if (count < this.#schedule.total) this.#arm(count);
    else this.#cancel = undefined;
    if (count === this.#count) return;
    this.#count = count;
    this.#onDue(count);
  }

  #arm(next: number): void {
    const dueInMs = this.#startMs + this.#schedule.dueAtMs(next) - this.#clock.monotonicMs();
    // Timers cut fractions off; waking up early would mean waking up twice.
    const delayMs = Math.min(Math.max(Math.ceil(dueInMs), 0), 2 ** 31 - 1);
    this.#cancel = this.#clock.after(delayMs, () => this.#tick());
  }
}
