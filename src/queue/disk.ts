/**
 * Holds accepted packets on disk until they are settled, and as many as fit in memory as well.
 *
 *   accept ─▶ group ─commit─▶ spool ─fits─▶ window (memory) ─▶ channel …
 *               │ sync           └─else─▶ waits, unread ─feed─▶ window
 *               └─▶ kept: the 202 goes out
 * Always true: a packet is removed from disk only after it was delivered, or with its dead letter;
 * what waits unread is younger than everything in the window, replays apart.
 */

import type { Channel } from "../channel.ts";
import type { Cancel, LoopClock } from "../clock.ts";
import { ApiError } from "../errors.ts";
import { failpoint } from "../failpoint.ts";
import type { Log } from "../log.ts";
import { memoryBytes, type Packet, type PacketRef, revivePacket } from "../packet.ts";
import type { DeadLetterBook, Selection, Verdict } from "./dead_letter.ts";
import type { Ledger } from "./ledger.ts";
import { MemoryQueue, type QueueOptions } from "./memory.ts";
import type { PacketQueue } from "./packet_queue.ts";
import { type DeadRow, type Spool, StorageError, type StoredPacket, type Totals } from "./spool.ts";

/** What one commit takes together, at most. */
const GROUP_PACKETS = 256;
const GROUP_BYTES = 4 * 1024 * 1024;
/** What is read back in one go: the event loop waits for it. */
const FEED_BYTES = 1024 * 1024;
/** Settled packets wait this long for a commit that is due anyway. */
const SETTLE_MS = 5;
/** A disk that was full is tried again after this long. */
const FULL_MS = 500;
/** The rest of the memory is for bodies that are coming in, and for those being committed. */
const WINDOW_PART = 1 / 2;

/** What the queue needs of the spool. */
export type SpoolPart =
  & Pick<Spool, "found" | "hasRoom" | "commit" | "sync" | "load" | "close">
  & { readonly dead: Pick<Spool["dead"], "totals" | "list" | "get" | "replay" | "delete"> };

export interface DiskQueueDoors {
  readonly spool: SpoolPart;
  readonly clock: LoopClock;
  readonly log: Log;
  /** The storage can no longer be trusted: the process is to end, and to replay at its restart. */
  readonly onFailed: (error: Error) => void;
}

/** Packets that are committed together. */
class Group {
  readonly packets: Packet[] = [];
  bytes = 0;
  readonly kept = Promise.withResolvers<void>();

  add(packet: Packet): void {
    this.packets.push(packet);
    this.bytes += memoryBytes(packet);
  }
}

export class DiskQueue implements PacketQueue {
  readonly durability = "disk";
  readonly deadLetters: DeadLetterBook;
  readonly #doors: DiskQueueDoors;
  readonly #window: MemoryQueue;
  readonly #windowBytes: number;
  readonly #groupPackets: number;
  /** Let in and not yet committed; the last group is still open. */
  #forming: Group[] = [];
  #settled: PacketRef[] = [];
  #dead: DeadRow[] = [];
  /** The newest group that has been in the window, or has nothing left to read. */
  #cursor = 0;
  #isRunning = false;
  #isFeeding = false;
  #cancelSettle: Cancel | undefined;
  #fullUntilMs = -Infinity;
  #isFull = false;
  #failure: Error | undefined;

  constructor(options: QueueOptions, doors: DiskQueueDoors) {
    this.#doors = doors;
    this.#window = new MemoryQueue(options, doors.clock);
    this.#windowBytes = options.capacityBytes * WINDOW_PART;
    this.#groupPackets = Math.min(GROUP_PACKETS, options.capacity);
    this.deadLetters = this.#readDeadLetters();
    const { spool } = doors;
    this.ledger.acceptUnread("spooled", spool.found);
    this.ledger.acceptUnread("dead", spool.dead.totals());
    this.#feed();
  }

  get ledger(): Ledger {
    return this.#window.ledger;
  }

  get channel(): Channel<Packet> {
    return this.#window.channel;
  }

  get retries(): number {
    return this.#window.retries;
  }

  get capacity(): number {
    return this.#window.capacity;
  }

  get capacityBytes(): number {
    return this.#window.capacityBytes;
  }

  hasRoom(bytes = 0): boolean {
    return !this.#isShut() && this.#window.hasMemory(bytes);
  }

  get isReady(): boolean {
    return !this.#isShut() && this.#window.hasMemory(this.#window.meanBytes);
  }

  get fullReason(): string {
    if (this.#failure) return "the storage has failed";
    if (this.#isShut()) return "the disk, or what --spool-max-bytes allows of it, is full";
    return "the memory for packets coming in is full";
  }

  reserve(bytes: number): boolean {
    return this.#window.reserve(bytes);
  }

  release(bytes: number): void {
    this.#window.release(bytes);
  }

  roomAgain(bytes: number, timeoutMs: number): Promise<void> {
    return this.#window.roomAgain(bytes, timeoutMs);
  }

  accept(packet: Packet, reservedBytes = 0): boolean {
    const bytes = memoryBytes(packet);
    if (this.#isShut() || !this.#window.reserve(bytes - reservedBytes)) return false;
    let group = this.#forming.at(-1);
    const isOpen = group && group.packets.length < this.#groupPackets &&
      group.bytes + bytes <= GROUP_BYTES;
    if (!group || !isOpen) this.#forming.push(group = new Group());
    group.add(packet);
    this.#commitSoon();
    return true;
  }

  kept(): Promise<void> | undefined {
    return this.#forming.at(-1)?.kept.promise;
  }

  start(packet: Packet): void {
    this.#window.start(packet);
  }

  deliver(packet: Packet): void {
    failpoint("before_settle");
    this.#window.deliver(packet);
    this.#settled.push(packet.ref!);
    this.#settleSoon();
  }

  retry(packet: Packet, delayMs: number): void {
    this.#window.retry(packet, delayMs);
  }

  putBack(packet: Packet): void {
    this.#window.putBack(packet);
  }

  bury(packet: Packet, verdict: Verdict): void {
    this.#window.giveUp(packet);
    const since = new Date(this.#doors.clock.wallMs()).toISOString();
    this.#dead.push({ ref: packet.ref!, packet, verdict, since, attempts: packet.attempts + 1 });
    this.#settleSoon();
  }

  replay(selection: Selection): number {
    const { dead } = this.#settledSpool();
    const before = { ...dead.totals() };
    try {
      return this.#guard(() => dead.replay(selection)).packets;
    } finally {
      // What came before a disk was full is replayed, too.
      this.ledger.respool(difference(before, dead.totals()));
      this.#feed();
    }
  }

  deleteDead(selection: Selection): number {
    const { dead } = this.#settledSpool();
    return this.#guard(() => dead.delete(selection)).packets;
  }

  oldestAgeSeconds(): number {
    return this.#window.oldestAgeSeconds();
  }

  releaseDelayed(drainMs: number): void {
    this.#window.releaseDelayed(drainMs);
  }

  idle(timeoutMs: number): Promise<boolean> {
    return this.#window.idle(timeoutMs);
  }

  close(): void {
    this.#window.close();
  }

  finish(): Promise<void> {
    this.#cancelSettle?.();
    if (!this.#failure) this.#write();
    this.#failure ??= new Error("Cannot write to the spool: it is closed");
    this.#doors.spool.close();
    return Promise.resolve();
  }

  #isShut(): boolean {
    return this.#failure !== undefined || this.#isFull ||
      this.#doors.clock.monotonicMs() < this.#fullUntilMs;
  }

  /** What arrives while a commit is under way shares the next one. */
  #commitSoon(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#cancelSettle?.();
    this.#cancelSettle = undefined;
    this.#doors.clock.soon(() => void this.#run());
  }

  #settleSoon(): void {
    this.#feed();
    if (this.#isRunning) return;
    this.#cancelSettle ??= this.#doors.clock.after(SETTLE_MS, () => {
      this.#cancelSettle = undefined;
      this.#write();
    });
  }

  async #run(): Promise<void> {
    while (this.#forming.length > 0 && !this.#failure) await this.#keep(this.#write());
    this.#isRunning = false;
    if (this.#settled.length + this.#dead.length > 0) this.#settleSoon();
  }

  /** Waits for the disk, not in its way: deliveries and what arrives go on. */
  async #keep(groups: readonly Group[]): Promise<void> {
    if (groups.length === 0) return;
    try {
      await this.#doors.spool.sync();
    } catch (error) {
      return this.#fail(error as Error, groups);
    }
    failpoint("before_202");
    for (const group of groups) group.kept.resolve();
  }

  /** Commits all there is; returns the groups that were let in, which are not synced yet. */
  #write(): Group[] {
    const groups = this.#forming;
    this.#forming = [];
    const written: Group[] = [];
    try {
      if (groups.length === 0) this.#commitSettled();
      for (const group of groups) {
        if (this.#tryCommit(group)) written.push(group);
      }
    } catch (error) {
      this.#fail(error as Error, groups);
    }
    if (this.#failure) return [];
    this.#isFull = !this.#doors.spool.hasRoom();
    return written;
  }

  #tryCommit(group: Group): boolean {
    try {
      this.#place(group, this.#commit(group.packets));
      return true;
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== "full") throw error;
      this.#refuse(group, new ApiError("STORAGE_FULL", error.message, { "retry-after": "1" }));
      this.#doors.log.warn("packets refused", { reason: error.message });
      this.#fullUntilMs = this.#doors.clock.monotonicMs() + FULL_MS;
      return false;
    }
  }

  /** Where even that finds no room, it is tried again with the next. */
  #commitSettled(): void {
    if (this.#settled.length + this.#dead.length === 0) return;
    try {
      this.#commit([]);
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== "full") throw error;
      this.#fullUntilMs = this.#doors.clock.monotonicMs() + FULL_MS;
      this.#cancelSettle ??= this.#doors.clock.after(FULL_MS, () => {
        this.#cancelSettle = undefined;
        this.#write();
      });
    }
  }

  /** Takes along what is settled, which is committed even where there is no room for arrivals. */
  #commit(arrivals: readonly Packet[]): number {
    const settled = this.#settled;
    const dead = this.#dead;
    this.#settled = [];
    this.#dead = [];
    try {
      return this.#doors.spool.commit({ arrivals, settled, dead });
    } catch (error) {
      if (error instanceof StorageError && !error.settled) this.#settled = settled;
      if (error instanceof StorageError && !error.buried) this.#dead = dead;
      throw error;
    }
  }

  /** Into the window if it fits, and nothing older waits unread; else its memory is let go. */
  #place({ packets, bytes }: Group, group: number): void {
    packets.forEach((packet, index) => packet.ref = { group, index });
    if (this.#fits(packets.length, bytes)) {
      this.#cursor = group;
      for (const packet of packets) this.#window.accept(packet, memoryBytes(packet));
      return;
    }
    this.#window.release(bytes);
    this.ledger.acceptUnread("spooled", {
      packets: packets.length,
      messages: packets.reduce((sum, packet) => sum + packet.messages, 0),
      bytes: packets.reduce((sum, packet) => sum + packet.bytes, 0),
    });
  }

  #fits(packets: number, bytes: number): boolean {
    return this.ledger.count("spooled").packets === 0 &&
      this.ledger.count("queued").packets + packets <= this.capacity &&
      this.ledger.heldBytes + bytes <= this.#windowBytes;
  }

  #refuse(group: Group, error: ApiError): void {
    this.#window.release(group.bytes);
    // Nobody may be waiting for it any more.
    group.kept.promise.catch(() => {});
    group.kept.reject(error);
  }

  /** Reads on from the spool while the window is less than half full. */
  #feed(): void {
    if (this.#isFeeding || this.#failure || !this.#isHungry()) return;
    this.#isFeeding = true;
    this.#doors.clock.soon(() => {
      this.#isFeeding = false;
      if (this.#failure) return;
      try {
        this.#load();
      } catch (error) {
        return this.#fail(error as Error);
      }
      this.#feed();
    });
  }

  #isHungry(): boolean {
    return this.ledger.count("spooled").packets > 0 &&
      this.ledger.count("queued").packets < this.capacity / 2 &&
      this.ledger.heldBytes < this.#windowBytes / 2;
  }

  #load(): void {
    const { packets, bytes } = this.ledger.count("spooled");
    const free = this.capacity - this.ledger.count("queued").packets;
    const maxBytes = Math.min(FEED_BYTES, this.#windowBytes / 2, free * bytes / packets);
    const groups = this.#doors.spool.load({ afterGroup: this.#cursor, maxBytes });
    for (const { group, packets, lost } of groups) {
      this.#cursor = group;
      if (lost) this.ledger.lose(lost);
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
    const lost = { ...this.ledger.count("spooled") };
    this.#doors.log.error("packets are missing from the spool", { ...lost });
    this.ledger.lose(lost);
  }

  /** The spool, with everything that is settled written down. */
  #settledSpool(): SpoolPart {
    this.#guard(() => this.#commitSettled());
    return this.#doors.spool;
  }

  #readDeadLetters(): DeadLetterBook {
    const { spool } = this.#doors;
    const pending = () => this.#dead.length;
    return {
      get size() {
        return spool.dead.totals().packets + pending();
      },
      list: (page) => this.#settledSpool().dead.list(page),
      bytesOf: (id) => this.#settledSpool().dead.get(id)?.data,
    };
  }

  /** Does what an operator asks of the storage; a fault of it ends the process as any other. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof StorageError && error.kind === "full") {
        throw new ApiError("STORAGE_FULL", error.message, { "retry-after": "1" });
      }
      this.#fail(error as Error);
      throw storageFailed();
    }
  }

  /** Nothing is acknowledged any more; what was is on disk, and is replayed at the next start. */
  #fail(error: Error, groups: readonly Group[] = []): void {
    const isFirst = this.#failure === undefined;
    this.#failure ??= error;
    for (const group of [...groups, ...this.#forming]) this.#refuse(group, storageFailed());
    this.#forming = [];
    if (isFirst) this.#doors.onFailed(error);
  }
}

function difference(before: Totals, after: Totals): Totals {
  return {
    packets: before.packets - after.packets,
    messages: before.messages - after.messages,
    bytes: before.bytes - after.bytes,
  };
}

function storageFailed(): ApiError {
  return new ApiError("STORAGE_FAILED", "The storage has failed: send again after a moment", {
    "retry-after": "1",
  });
}
