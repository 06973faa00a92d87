/**
 * The books of accepted packets: how many, how large, and in which state.
 *
 * Only the queue writes here. Always true, exactly:
 *   accepted = delivered + dead lettered + queued + in flight, in packets and in messages.
 */

import { memoryBytes, type Packet, type PacketState } from "../packet.ts";

export interface Count {
  packets: number;
  messages: number;
  bytes: number;
}

export class Ledger {
  readonly accepted: Count = { packets: 0, messages: 0, bytes: 0 };
  readonly #byState: Record<PacketState, Count> = {
    queued: { packets: 0, messages: 0, bytes: 0 },
    in_flight: { packets: 0, messages: 0, bytes: 0 },
    dead: { packets: 0, messages: 0, bytes: 0 },
    delivered: { packets: 0, messages: 0, bytes: 0 },
  };
  /** Memory that accepted packets hold: all but the delivered. */
  heldBytes = 0;

  /** What is in a state now; `delivered` and `dead` only grow but by replays. */
  count(state: PacketState): Readonly<Count> {
    return this.#byState[state];
  }

  /** Books a new packet, which is queued. */
  accept(packet: Packet): void {
    add(this.accepted, packet, 1);
    add(this.#byState[packet.state], packet, 1);
    this.heldBytes += memoryBytes(packet);
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
