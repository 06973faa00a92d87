/**
 * Brings committed packets into the window: straight from memory, or read back from the spool.
 *
 * Owned by the disk queue, which asks for more whenever the window may have room. Always true: a
 * group goes straight there only while nothing waits unread, so that reading on from the last group
 * that went there finds all that does.
 */

import type { LoopClock } from "../clock.ts";
import type { Log } from "../log.ts";
import { memoryBytes, type Packet, revivePacket } from "../packet.ts";
import type { Committer, Group } from "./committer.ts";
import type { Ledger } from "./ledger.ts";
import type { MemoryQueue } from "./memory.ts";
import type { Spool, StoredPacket } from "./spool.ts";

/** What is read back in one go: the event loop waits for it. */
const FEED_BYTES = 1024 * 1024;

export interface FeedDoors {
  readonly spool: Pick<Spool, "load">;
  readonly window: MemoryQueue;
  readonly committer: Pick<Committer, "failure" | "fail">;
  readonly clock: LoopClock;
  readonly log: Log;
}

export class Feed {
  readonly #doors: FeedDoors;
  readonly #window: MemoryQueue;
  readonly #ledger: Ledger;
  /** What packets in the window may hold. */
  readonly #windowBytes: number;
  /** The newest group that has been in the window, or has nothing left to read. */
  #cursor = 0;
  #isFeeding = false;

  constructor(windowBytes: number, doors: FeedDoors) {
    this.#doors = doors;
    this.#window = doors.window;
    this.#ledger = doors.window.ledger;
    this.#windowBytes = windowBytes;
  }

  /** Into the window if it fits, and nothing older waits unread; else its memory is let go. */
  place({ packets, bytes }: Group, group: number): void {
    packets.forEach((packet, index) => packet.ref = { group, index });
    if (this.#fits(packets.length, bytes)) {
      this.#cursor = group;
      for (const packet of packets) this.#window.take(packet, memoryBytes(packet));
      return;
    }
    this.#window.release(bytes);
    this.#ledger.receiveUnread({
      packets: packets.length,
      messages: packets.reduce((sum, packet) => sum + packet.messages, 0),
      bytes: packets.reduce((sum, packet) => sum + packet.bytes, 0),
    });
    // If nothing is in flight, nobody else would ever ask for more.
    this.readOn();
  }

  /** Reads on from the spool while the window is less than half full. */
  readOn(): void {
    const { committer, clock } = this.#doors;
    if (this.#isFeeding || committer.failure || !this.#isHungry()) return;
    this.#isFeeding = true;
    clock.soon(() => {
      this.#isFeeding = false;
      if (committer.failure) return;
      try {
        this.#load();
      } catch (error) {
        return committer.fail(error as Error);
      }
      this.readOn();
    });
  }

  #fits(packets: number, bytes: number): boolean {
    return this.#ledger.count("spooled").packets === 0 &&
      this.#ledger.count("queued").packets + packets <= this.#window.capacity &&
      this.#ledger.heldBytes + bytes <= this.#windowBytes;
  }

  #isHungry(): boolean {
    return this.#ledger.count("spooled").packets > 0 &&
      this.#ledger.count("queued").packets < this.#window.capacity / 2 &&
      this.#ledger.heldBytes < this.#windowBytes / 2 &&
      this.#window.hasMemory(Math.min(FEED_BYTES, this.#windowBytes / 2));
  }

  #load(): void {
    const { packets, bytes } = this.#ledger.count("spooled");
    const free = this.#window.capacity - this.#ledger.count("queued").packets;
    const maxBytes = Math.min(FEED_BYTES, this.#windowBytes / 2, free * bytes / packets);
    const groups = this.#doors.spool.load({ afterGroup: this.#cursor, maxBytes });
    for (const { group, packets, lost } of groups) {
      this.#cursor = group;
      if (lost) this.#window.lose(lost);
      for (const stored of packets) this.#window.load(this.#revive(stored));
    }
    if (groups.length === 0) this.#loseUnread();
  }

  /** Its time of acceptance was written down by the wall clock, as no other survives a restart. */
  #revive(stored: StoredPacket): Packet {
    const { clock } = this.#doors;
    const ageMs = Math.max(0, clock.wallMs() - stored.acceptedWallMs);
    const ref = { group: stored.group, index: stored.index };
    return revivePacket(stored, { ref, acceptedAtMs: clock.monotonicMs() - ageMs });
  }

  /** The books name packets that the spool no longer has. */
  #loseUnread(): void {
    const lost = { ...this.#ledger.count("spooled") };
    this.#doors.log.error("packets are missing from the spool", { ...lost });
    this.#window.lose(lost);
  }
}
