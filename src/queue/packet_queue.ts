/**
 * What holds accepted packets until they are settled: the seam between the flow and durability.
 *
 *   accept ─▶ queued ─start─▶ in flight ─deliver─▶ delivered
 *               ▲  ▲             │ │
 *        replay │  └─retry, back─┘ └─bury─▶ dead
 * Ingest accepts; workers and lanes do all else; admin reads and replays dead letters.
 */

import type { Channel } from "../channel.ts";
import type { Packet } from "../packet.ts";
import type { Carried, DeadLetterBook, Selection, Verdict } from "./dead_letter.ts";
import type { Ledger } from "./ledger.ts";

export interface PacketQueue {
  readonly durability: "memory" | "disk";
  readonly ledger: Ledger;
  readonly deadLetters: DeadLetterBook;
  /** What the workers pull from. */
  readonly channel: Channel<Packet>;
  /** Failed attempts that were followed by another try. */
  readonly retries: number;
  /** Packets that may wait in memory. */
  readonly capacity: number;
  /** Bytes that bodies under way and packets in memory may hold. */
  readonly capacityBytes: number;
  /** Of these, what they hold now. */
  readonly heldBytes: number;

  /** Whether this much would be let in now, as one packet. */
  hasRoom(bytes?: number): boolean;
  /** Whether a packet of the average size would be let in now. */
  readonly isReady: boolean;
  /** What a refusal is due to, in words. */
  readonly fullReason: string;
  /** Says so when dead letters hold much of the room, long before they hold all of it. */
  readonly manyDeadLetters: string | undefined;
  /** Takes memory for a body that is going to be read. */
  reserve(bytes: number): boolean;
  /** Gives back memory that was reserved. */
  release(bytes: number): void;
  /** Counts as reserved here what was reserved by another thread, which counts it no more. */
  adopt(bytes: number): void;
  /** Resolves when there may be room for so many bytes, at the latest after `timeoutMs`. */
  roomAgain(bytes: number, timeoutMs: number): Promise<void>;
  /**
   * Lets a packet in, or says no because the queue is full. What is let in is never dropped, but
   * where `kept` says so.
   *
   * @param reservedBytes what is reserved for its body: the queue's own if it is let in
   */
  accept(packet: Packet, reservedBytes?: number): boolean;
  /**
   * Resolves once the packet that was let in last is as durable as promised; undefined if it is.
   * To be asked for at once: others may be let in after it.
   *
   * @throws {ApiError} when it could not be kept: then it is out of the queue again
   */
  kept(): Promise<void> | undefined;

  /** Its attempt begins. */
  start(packet: Packet): void;
  /** An analyzer has it. */
  deliver(packet: Packet): void;
  /** Its attempt failed; another follows after `delayMs`. */
  retry(packet: Packet, delayMs: number): void;
  /** It was never sent: it goes back to be drawn again, ahead of newer packets. */
  putBack(packet: Packet): void;
  /** It is given up, and kept as a dead letter. */
  bury(packet: Packet, verdict: Verdict): void;

  /** Queues dead letters again, as if they had just come; returns how many. */
  replay(selection: Selection): Carried | Promise<Carried>;
  /** Deletes dead letters for good; they still count as dead lettered. Returns how many. */
  deleteDead(selection: Selection): Carried | Promise<Carried>;

  /** The age of the packet in memory that has been queued longest, in seconds. */
  oldestAgeSeconds(): number;
  /** Lets no back-off outlast the drain: what waits one out is due now, and later ones are cut. */
  releaseDelayed(drainMs: number): void;
  /** Resolves when nothing is queued and nothing in flight, at the latest after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean>;
  /** Ends the workers' loops. What is left stays counted. */
  close(): void;
  /** After all else: what is settled is written down, and the storage let go. */
  finish(): Promise<void>;
}
