/**
 * Packets that were given up, kept with their reason until an operator replays or deletes them.
 *
 * Owned by the queue, which keeps the books. Oldest first.
 */

import type { Packet } from "../packet.ts";

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

export interface DeadLetter extends Verdict {
  readonly packet: Packet;
  /** RFC 3339. */
  readonly since: string;
  /** Failed attempts, all told. */
  readonly attempts: number;
}

/** Which dead letters an order is about. */
export interface Selection {
  readonly ids?: readonly string[];
  readonly reason?: DeadReason;
}

export class DeadLetters {
  /** Ids are the agents' own, so two packets may share one. */
  readonly #letters = new Map<string, DeadLetter[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(letter: DeadLetter): void {
    const same = this.#letters.get(letter.packet.id);
    if (same) same.push(letter);
    else this.#letters.set(letter.packet.id, [letter]);
    this.#size++;
  }

  /** The dead letter of a packet id, the oldest if there are several. */
  get(id: string): DeadLetter | undefined {
    return this.#letters.get(id)?.[0];
  }

  /** One page, oldest first. */
  list(page: { offset: number; limit: number }): DeadLetter[] {
    const found: DeadLetter[] = [];
    let skip = page.offset;
    for (const letters of this.#letters.values()) {
      for (const letter of letters) {
        if (skip-- > 0) continue;
        if (found.length === page.limit) return found;
        found.push(letter);
      }
    }
    return found;
  }

  /** Removes what a selection names and returns it, oldest first. An empty selection names all. */
  takeAll(selection: Selection): DeadLetter[] {
    const taken: DeadLetter[] = [];
    for (const id of selection.ids ?? [...this.#letters.keys()]) {
      const letters = this.#letters.get(id) ?? [];
      const stay = letters.filter((letter) =>
        selection.reason !== undefined && letter.reason !== selection.reason
      );
      taken.push(...letters.filter((letter) => !stay.includes(letter)));
      if (stay.length > 0) this.#letters.set(id, stay);
      else this.#letters.delete(id);
    }
    this.#size -= taken.length;
    return taken;
  }
}
