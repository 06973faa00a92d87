/**
 * The books of accepted packets: how many, how large, and in which state.
 *
 * Only the queue writes here. Always true, exactly:
 *   accepted = delivered + dead lettered + queued (in memory or on disk) + in flight,
 * in packets and in messages.
 */

import { memoryBytes, type Packet, type PacketState } from "../packet.ts";

export interface Count {
  packets: number;
  messages: number;
  bytes: number;
}

/** Where the books have a packet: in one of its states, or waiting on disk alone, unread. */
export type Place = PacketState | "spooled";

export class Ledger {
  /** Since the start, what was found on disk then included. */
  readonly accepted: Count = { packets: 0, messages: 0, bytes: 0 };
  /** What was let in since the start; only grows. */
  readonly received: Count = { packets: 0, messages: 0, bytes: 0 };
  readonly #byState: Record<Place, Count> = {
    spooled: { packets: 0, messages: 0, bytes: 0 },
    queued: { packets: 0, messages: 0, bytes: 0 },
    in_flight: { packets: 0, messages: 0, bytes: 0 },
    dead: { packets: 0, messages: 0, bytes: 0 },
    delivered: { packets: 0, messages: 0, bytes: 0 },
  };
  /** Memory that accepted packets hold: all but the delivered. */
  heldBytes = 0;

  /** What is in a state now; `delivered` and `dead` only grow but by replays. */
  count(state: Place): Readonly<Count> {
    return this.#byState[state];
  }

  /** Books a new packet, which is queued. */
  accept(packet: Packet): void {
    add(this.accepted, packet, 1);
    add(this.received, packet, 1);
    add(this.#byState[packet.state], packet, 1);
    this.heldBytes += memoryBytes(packet);
  }

  /** Books packets that were found at the start, of which only the numbers are known. */
  acceptUnread(place: "spooled" | "dead", count: Readonly<Count>): void {
    addCount(this.accepted, count, 1);
    addCount(this.#byState[place], count, 1);
  }

  /** Books new packets that wait on disk alone. */
  receiveUnread(count: Readonly<Count>): void {
    addCount(this.received, count, 1);
    this.acceptUnread("spooled", count);
  }

  /** Dead letters go back to wait on disk. */
  respool(count: Readonly<Count>): void {
    addCount(this.#byState.dead, count, -1);
    addCount(this.#byState.spooled, count, 1);
  }

  /** A packet that waited on disk waits in memory from now on. */
  load(packet: Packet): void {
    add(this.#byState.spooled, packet, -1);
    add(this.#byState[packet.state], packet, 1);
    this.heldBytes += memoryBytes(packet);
  }

  /** What waited on disk cannot be read any more: it leaves the books. */
  lose(count: Readonly<Count>): void {
    addCount(this.#byState.spooled, count, -1);
    addCount(this.accepted, count, -1);
  }

  /** Moves a packet from its state to another. */
  move(packet: Packet, to: PacketState): void {
    add(this.#byState[packet.state], packet, -1);
    add(this.#byState[to], packet, 1);
    packet.state = to;
    if (to === "delivered") this.release(packet);
  }

  /** Its memory is free again, though it still counts where it is. */
  release(packet: Packet): void {
    this.heldBytes -= memoryBytes(packet);
  }
}

function add(count: Count, packet: Packet, sign: 1 | -1): void {
  count.packets += sign;
  count.messages += sign * packet.messages;
  count.bytes += sign * packet.bytes;
}

function addCount(count: Count, change: Readonly<Count>, sign: 1 | -1): void {
  count.packets += sign * change.packets;
  count.messages += sign * change.messages;
  count.bytes += sign * change.bytes;
}
