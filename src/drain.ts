/**
 * The end of a drain: delivers what is queued until nothing is left, or waiting gains nothing.
 *
 * Called by the distributor once nothing is let in any more. Always true: what only memory has is
 * given the whole time; what is on disk is not waited for where nobody could take it.
 */

import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import type { Registry } from "./registry.ts";

/**
 * With nothing in flight and nobody to send to, a drain from disk ends after this long: a busy
 * analyzer's `Retry-After: 1` comes within it. One that is down for longer gets the rest after the
 * next start, which is sooner than most that are down come back.
 */
export const STUCK_MS = 2000;
/** How often it is looked. */
const LOOK_MS = 100;

export interface DrainDoors {
  readonly queue: Pick<PacketQueue, "durability" | "ledger" | "idle">;
  readonly registry: Pick<Registry, "isAnyAvailable">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Resolves when all is settled, at the latest after `timeoutMs`, earlier where that loses nothing. */
export async function deliverRest(timeoutMs: number, doors: DrainDoors): Promise<void> {
  const { queue, clock } = doors;
  if (queue.durability === "memory") return void await queue.idle(timeoutMs);
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let stuckSinceMs: number | undefined;
  for (;;) {
    const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
    if (await queue.idle(Math.min(LOOK_MS, leftMs)) || leftMs === 0) return;
    stuckSinceMs = isStuck(doors) ? stuckSinceMs ?? clock.monotonicMs() : undefined;
    const stuckMs = clock.monotonicMs() - (stuckSinceMs ?? Infinity);
    if (stuckMs >= STUCK_MS) return tellEarlyEnd(doors);
  }
}

function isStuck({ queue, registry }: DrainDoors): boolean {
  return queue.ledger.count("in_flight").packets === 0 && !registry.isAnyAvailable;
}

function tellEarlyEnd({ queue: { ledger }, log }: DrainDoors): void {
  const left = [ledger.count("queued"), ledger.count("spooled")];
  log.info("drain ends early: no analyzer is available, the rest is safe on disk", {
    packets_on_disk: left.reduce((sum, { packets }) => sum + packets, 0),
    messages_on_disk: left.reduce((sum, { messages }) => sum + messages, 0),
  });
}
