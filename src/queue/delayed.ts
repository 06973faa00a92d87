/**
 * Packets that wait out their back-off, by due time, with one timer for the earliest.
 *
 * Owned by the memory queue. Always true: while the queue drains, nothing is delayed for longer
 * than a part of the time that is left; after `close()` no timer is set.
 */

import type { Cancel, Clock } from "../clock.ts";
import { Heap } from "../heap.ts";
import type { Packet } from "../packet.ts";

/** While draining, a failed packet is tried again after this part of the time that is left. */
const DRAIN_RETRY_PART = 1 / 4;
const MIN_DRAIN_RETRY_MS = 50;

export class Delayed {
  readonly #clock: Clock;
  readonly #onDue: (packet: Packet) => void;
  readonly #packets = new Heap<Packet>();
  #drainUntilMs = Infinity;
  #cancelWake: Cancel | undefined;
  #wakeAtMs = Infinity;
  #closed = false;

  /** @param onDue gets each packet once its time has come, the earliest first */
  constructor(clock: Clock, onDue: (packet: Packet) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  add(packet: Packet, delayMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const dueMs = nowMs + Math.min(delayMs, this.#longestDelayMs(nowMs));
    this.#packets.push(dueMs, packet);
    if (dueMs < this.#wakeAtMs && !this.#closed) this.#wakeAt(dueMs);
  }

  /** Lets no back-off outlast the drain: what waits is due now, and later delays are cut. */
  release(drainMs: number): void {
    this.#drainUntilMs = this.#clock.monotonicMs() + drainMs;
    this.#cancelWake?.();
    this.#wakeAtMs = Infinity;
    this.#releaseDue(Infinity);
  }

  /** What waits stays. */
  close(): void {
    this.#closed = true;
    this.#cancelWake?.();
  }

  #longestDelayMs(nowMs: number): number {
    return Math.max(MIN_DRAIN_RETRY_MS, (this.#drainUntilMs - nowMs) * DRAIN_RETRY_PART);
  }

  #wakeAt(dueMs: number): void {
    this.#cancelWake?.();
    this.#wakeAtMs = dueMs;
    const nowMs = this.#clock.monotonicMs();
    this.#cancelWake = this.#clock.after(Math.max(0, dueMs - nowMs), () => {
      this.#wakeAtMs = Infinity;
      this.#releaseDue(this.#clock.monotonicMs());
    });
  }

  #releaseDue(untilMs: number): void {
    for (let due = this.#packets.peekKey(); due !== undefined; due = this.#packets.peekKey()) {
      if (due > untilMs) return this.#wakeAt(due);
      this.#onDue(this.#packets.pop()!);
    }
  }
}
