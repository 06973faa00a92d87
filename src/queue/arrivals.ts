/**
 * The accepted packets that are not settled yet, in the order of their acceptance.
 *
 * A list of the packets themselves, so that any of them leaves it in no time, wherever it waits.
 */

import type { Packet } from "../packet.ts";

export class Arrivals {
  #oldest: Packet | undefined;
  #newest: Packet | undefined;

  /** Puts a packet behind all others. */
  add(packet: Packet): void {
    const before = this.#newest;
    packet.older = before;
    if (before) before.newer = packet;
    else this.#oldest = packet;
    this.#newest = packet;
  }

  delete(packet: Packet): void {
    const { older, newer } = packet;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    // One that stays in memory must not hold those that went.
    packet.older = undefined;
    packet.newer = undefined;
  }

  /** The oldest packet that is queued; those in flight, which are few, are passed over. */
  oldestQueued(): Packet | undefined {
    let packet = this.#oldest;
    while (packet && packet.state !== "queued") packet = packet.newer;
    return packet;
  }
}
