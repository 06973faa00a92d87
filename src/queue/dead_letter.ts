/**
 * Packets that were given up, kept with their reason until an operator replays or deletes them.
 *
 * Owned by the queue, which keeps the books. Oldest first.
 */

import { memoryBytes, type Packet, packetBytes } from "../packet.ts";

export type DeadReason = "retries_exhausted" | "rejected";

export const DEAD_REASONS: readonly DeadReason[] = ["retries_exhausted", "rejected"];

/** Why a packet was given up, and what was last heard of it. */
export interface Verdict {
  readonly reason: DeadReason;
  /** The analyzer of the last attempt. */
  readonly analyzer: string;
  /** What it answered, or how the attempt failed. */
  readonly detail: string;
}

/** What is told of a dead letter. */
export interface DeadLetterInfo extends Verdict {
  readonly packetId: string;
  readonly messages: number;
  readonly bytes: number;
  /** RFC 3339. */
  readonly since: string;
  /** Failed attempts, all told. */
  readonly attempts: number;
}

/** What operators read of the dead letters; changes go through the queue. */
export interface DeadLetterBook {
  readonly size: number;
  /** What they hold of the store that packets wait in: memory, or disk. */
  readonly heldBytes: number;
  /** One page, oldest first. */
  list(page: { offset: number; limit: number }): DeadLetterInfo[];
  /** The bytes of the packet with an id, the oldest if there are several. */
  bytesOf(id: string): Uint8Array<ArrayBuffer> | undefined;
}

/** A dead letter in memory, with its packet. */
export interface DeadLetter extends Verdict {
  readonly packet: Packet;
  readonly since: string;
  readonly attempts: number;
}

/** Which dead letters an order is about. */
export interface Selection {
  readonly ids?: readonly string[];
  readonly reason?: DeadReason;
}

/** What an order has done. */
export interface Carried {
  readonly packets: number;
  /** Ids of the selection under which there was nothing. */
  readonly notFound: readonly string[];
}

/** Dead letters in memory. */
export class DeadLetters implements DeadLetterBook {
  /** Oldest first. */
  readonly #letters = new Set<DeadLetter>();
  /** Ids are the agents' own, so two packets may share one. */
  readonly #byId = new Map<string, Set<DeadLetter>>();
  #heldBytes = 0;

  get size(): number {
    return this.#letters.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  add(letter: DeadLetter): void {
    this.#letters.add(letter);
    this.#heldBytes += memoryBytes(letter.packet);
    const same = this.#byId.get(letter.packet.id);
    if (same) same.add(letter);
    else this.#byId.set(letter.packet.id, new Set([letter]));
  }

  bytesOf(id: string): Uint8Array<ArrayBuffer> | undefined {
    const letter = this.#byId.get(id)?.values().next().value;
    return letter && packetBytes(letter.packet);
  }

  list(page: { offset: number; limit: number }): DeadLetterInfo[] {
    return this.#letters.values().drop(page.offset).take(page.limit).map(describe).toArray();
  }

  /** Removes what a selection names (all, if nothing) and returns it: by ids, then oldest first. */
  takeAll({ ids, reason }: Selection): { letters: DeadLetter[]; notFound: string[] } {
    const isMeant = (letter: DeadLetter) => reason === undefined || letter.reason === reason;
    const named = ids && [...new Set(ids)].map((id) => ({
      id,
      letters: [...this.#byId.get(id) ?? []].filter(isMeant),
    }));
    const letters = named?.flatMap(({ letters }) => letters) ?? [...this.#letters].filter(isMeant);
    for (const letter of letters) this.#remove(letter);
    const missing = named?.filter(({ letters }) => letters.length === 0) ?? [];
    return { letters, notFound: missing.map(({ id }) => id) };
  }

  #remove(letter: DeadLetter): void {
    this.#letters.delete(letter);
    this.#heldBytes -= memoryBytes(letter.packet);
    const { id } = letter.packet;
    const same = this.#byId.get(id)!;
    same.delete(letter);
    if (same.size === 0) this.#byId.delete(id);
  }
}

function describe({ packet, ...letter }: DeadLetter): DeadLetterInfo {
  return { packetId: packet.id, messages: packet.messages, bytes: packet.bytes, ...letter };
}
