/**
 * How long things take, observed on the hot path: a few additions a packet, no allocation.
 *
 * Called by ingest and the lanes; read by the metrics and the dashboard.
 */

import type { Clock } from "./clock.ts";
import type { Packet } from "./packet.ts";
import { Timing } from "./timing.ts";

export class Instruments {
  /** From the request's arrival to its 202. */
  readonly accept = new Timing();
  /** From a packet's acceptance to the start of its request. */
  readonly queueWait = new Timing();
  /** Of one successful request to an analyzer. */
  readonly delivery = new Timing();
  /** From a packet's acceptance to its delivery. */
  readonly endToEnd = new Timing();
  /** By how much timers are late: what the event loop lags behind. */
  readonly loopLag = new Timing();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A packet that came in at `startedMs` has been accepted. */
  accepted(startedMs: number): void {
    this.accept.observe(this.#clock.monotonicMs() - startedMs);
  }

  /** A request with these packets starts. */
  started(packets: readonly Packet[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { acceptedAtMs } of packets) this.queueWait.observe(nowMs - acceptedAtMs);
  }

  /** A request with these packets has succeeded. */
  delivered(packets: readonly Packet[], latencyMs: number): void {
    this.delivery.observe(latencyMs);
    const nowMs = this.#clock.monotonicMs();
    for (const { acceptedAtMs } of packets) this.endToEnd.observe(nowMs - acceptedAtMs);
  }
}

const LAG_TICK_MS = 500;

/** Watches how late the event loop is, twice a second; returns how to stop it. */
export function watchLoopLag(timing: Timing, clock: Clock): () => void {
  let dueMs = clock.monotonicMs() + LAG_TICK_MS;
  let cancel = clock.after(LAG_TICK_MS, tick);
  return () => cancel();

  function tick(): void {
    const nowMs = clock.monotonicMs();
    timing.observe(Math.max(0, nowMs - dueMs));
    dueMs = nowMs + LAG_TICK_MS;
    cancel = clock.after(LAG_TICK_MS, tick);
  }
}
