/**
 * Holds accepted packets on disk until they are settled, and as many as fit in memory as well.
 *
 *   accept ─▶ group ─commit─▶ spool ─fits─▶ window (memory) ─▶ channel …
 *               │ sync           └─else─▶ waits, unread ─feed─▶ window
 *               └─▶ kept: the 202 goes out
 * Always true: a packet is removed from disk only after it was delivered, or with its dead letter; a
 * group goes straight into the window only while nothing waits unread, so that reading on from the
 * last group that went there finds all that does.
 */

import type { Channel } from "../channel.ts";
import { type Cancel, type LoopClock, sleep } from "../clock.ts";
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
/** What is written before others get a turn, at most. */
const WRITE_BYTES = 8 * 1024 * 1024;
/** What is read back in one go: the event loop waits for it. */
const FEED_BYTES = 1024 * 1024;
/** Settled packets wait this long for a commit that is due anyway. */
const SETTLE_MS = 5;
/** A disk that was full is asked again after this long. */
const FULL_MS = 500;
/** The last commit, at the end, is waited for this long. */
const FINISH_MS = 1000;
/** Of what packets may take of the disk, this part held by dead letters is worth a warning. */
const DEAD_WARNING_PART = 1 / 2;
/** The rest of the memory is for bodies that are coming in, and for those being committed. */
const WINDOW_PART = 1 / 2;

/** What the queue needs of the spool. */
export type SpoolPart =
  & Pick<Spool, "found" | "arrivalsMaxBytes" | "hasRoom" | "commit" | "sync" | "load" | "close">
  & {
    readonly dead: Pick<Spool["dead"], "totals" | "list" | "get" | "replayParts" | "deleteParts">;
  };

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

  refuse(error: ApiError): void {
    // Nobody may be waiting for it any more.
    this.kept.promise.catch(() => {});
    this.kept.reject(error);
  }
}

export class DiskQueue implements PacketQueue {
  readonly durability = "disk";
  readonly deadLetters: DeadLetterBook;
  readonly #doors: DiskQueueDoors;
  readonly #window: MemoryQueue;
  readonly #windowBytes: number;
  readonly #groupPackets: number;
  readonly #groupBytes: number;
  /** Let in and not yet committed; the last group is still open. */
  #forming: Group[] = [];
  #formingBytes = 0;
  #settled: PacketRef[] = [];
  #dead: DeadRow[] = [];
  /** The newest group that has been in the window, or has nothing left to read. */
  #cursor = 0;
  /** Resolves when nothing is being committed any more. */
  #run: Promise<void> | undefined;
  #isFeeding = false;
  #cancelSettle: Cancel | undefined;
  #isFull = false;
  #askAgainAtMs = -Infinity;
  #failure: Error | undefined;
  #hasWarned = false;

  constructor(options: QueueOptions, doors: DiskQueueDoors) {
    this.#doors = doors;
    this.#window = new MemoryQueue(options, doors.clock);
    this.#windowBytes = options.capacityBytes * WINDOW_PART;
    this.#groupPackets = Math.min(GROUP_PACKETS, options.capacity);
    this.#groupBytes = Math.min(GROUP_BYTES, this.#windowBytes);
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
    if (!this.#isShut()) return "the memory for packets coming in is full";
    return this.manyDeadLetters ??
      "the disk, or what --spool-max-bytes allows of it, is full";
  }

  get manyDeadLetters(): string | undefined {
    const { dead, arrivalsMaxBytes } = this.#doors.spool;
    return dead.totals().bytes > DEAD_WARNING_PART * arrivalsMaxBytes
      ? "dead letters hold much of the disk that packets need: replay or delete them"
      : undefined;
  }

  reserve(bytes: number): boolean {
    return this.#window.reserve(bytes);
  }

  release(bytes: number): void {
    this.#window.release(bytes);
    this.#feed();
  }

  roomAgain(bytes: number, timeoutMs: number): Promise<void> {
    return this.#window.roomAgain(bytes, timeoutMs);
  }

  accept(packet: Packet, reservedBytes = 0): boolean {
    const bytes = memoryBytes(packet);
    if (this.#isShut() || !this.#doors.spool.hasRoom(this.#formingBytes + bytes)) return false;
    if (!this.#window.reserve(bytes - reservedBytes)) return false;
    let group = this.#forming.at(-1);
    const isOpen = group && group.packets.length < this.#groupPackets &&
      group.bytes + bytes <= this.#groupBytes;
    if (!group || !isOpen) this.#forming.push(group = new Group());
    group.add(packet);
    this.#formingBytes += bytes;
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

  replay(selection: Selection): Promise<number> {
    return this.#inParts(this.#settledSpool().dead.replayParts(selection), (part) => {
      this.ledger.respool(part);
      this.#feed();
    });
  }

  deleteDead(selection: Selection): Promise<number> {
    return this.#inParts(this.#settledSpool().dead.deleteParts(selection), () => {});
  }

  oldestAgeSeconds(): number {
    return this.#window.oldestAgeSeconds();
  }

  releaseDelayed(drainMs: number): void {
    this.#window.releaseDelayed(drainMs);
  }

  async idle(timeoutMs: number): Promise<boolean> {
    const { clock } = this.#doors;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      // What is being committed is not in the books yet.
      if (this.#run) await this.#runEnds(deadlineMs - clock.monotonicMs());
      const isIdle = await this.#window.idle(Math.max(0, deadlineMs - clock.monotonicMs()));
      if (!isIdle || !this.#run) return isIdle;
      if (clock.monotonicMs() >= deadlineMs) return false;
    }
  }

  close(): void {
    this.#window.close();
  }

  async finish(): Promise<void> {
    await this.#runEnds(FINISH_MS);
    if (!this.#failure) this.#writeSettled();
    this.#endSettleTimer();
    this.#failure ??= new Error("Cannot write to the spool: it is closed");
    this.#refuseAll(this.#takeForming(Infinity), storageFailed());
    this.#doors.spool.close();
  }

  #isShut(): boolean {
    if (this.#failure !== undefined) return true;
    if (!this.#isFull) return false;
    // Nobody tells when another has freed the disk: it is asked, now and then.
    const nowMs = this.#doors.clock.monotonicMs();
    if (nowMs < this.#askAgainAtMs) return true;
    this.#tellFull(!this.#doors.spool.hasRoom());
    return this.#isFull;
  }

  #tellFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#askAgainAtMs = this.#doors.clock.monotonicMs() + FULL_MS;
  }

  /** What arrives while a commit is under way shares the next one. */
  #commitSoon(): void {
    if (this.#run) return;
    this.#endSettleTimer();
    const turn = new Promise<void>((resolve) => this.#doors.clock.soon(resolve));
    this.#run = turn.then(() => this.#commitAll());
  }

  #settleSoon(): void {
    this.#feed();
    if (this.#run) return;
    this.#cancelSettle ??= this.#doors.clock.after(SETTLE_MS, () => {
      this.#cancelSettle = undefined;
      this.#writeSettled();
    });
  }

  #endSettleTimer(): void {
    this.#cancelSettle?.();
    this.#cancelSettle = undefined;
  }

  async #commitAll(): Promise<void> {
    while (this.#forming.length > 0 && !this.#failure) await this.#keep(this.#writeGroups());
    this.#run = undefined;
    if (this.#settled.length + this.#dead.length > 0) this.#settleSoon();
  }

  /** Waits for the disk, not in its way: deliveries and what arrives go on. */
  async #keep(groups: readonly Group[]): Promise<void> {
    if (groups.length === 0) return;
    try {
      await this.#doors.spool.sync();
    } catch (error) {
      for (const group of groups) group.refuse(storageFailed());
      return this.#fail(error as Error);
    }
    failpoint("before_202");
    for (const group of groups) group.kept.resolve();
  }

  /** Waits for what is being committed, at most so long. */
  async #runEnds(timeoutMs: number): Promise<void> {
    if (!this.#run || timeoutMs <= 0) return;
    const late = new AbortController();
    await Promise.race([this.#run, sleep(timeoutMs, this.#doors.clock, late.signal)]);
    late.abort();
  }

  /** The groups that are formed, up to so many bytes, at least one. */
  #takeForming(maxBytes: number): Group[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#forming.length && (count === 0 || bytes < maxBytes)) {
      bytes += this.#forming[count++]!.bytes;
    }
    this.#formingBytes -= bytes;
    return this.#forming.splice(0, count);
  }

  /** Commits; returns the groups that were let in, which are not synced yet. */
  #writeGroups(): Group[] {
    const written: Group[] = [];
    const groups = this.#takeForming(WRITE_BYTES);
    try {
      for (let group = groups.shift(); group; group = groups.shift()) {
        if (this.#tryCommit(group)) written.push(group);
      }
      if (!this.#isFull) this.#tellFull(!this.#doors.spool.hasRoom());
      return written;
    } catch (error) {
      for (const group of written) group.refuse(storageFailed());
      this.#refuseAll(groups, storageFailed());
      this.#fail(error as Error);
      return [];
    }
  }

  /** Whether it is committed; a full disk has refused it. */
  #tryCommit(group: Group): boolean {
    try {
      this.#place(group, this.#commit(group.packets));
      return true;
    } catch (error) {
      const isFull = error instanceof StorageError && error.kind === "full";
      const { message } = error as Error;
      this.#refuseAll(
        [group],
        isFull ? new ApiError("STORAGE_FULL", message, RETRY_LATER) : storageFailed(),
      );
      if (!isFull) throw error;
      this.#doors.log.warn("packets refused", { reason: message });
      this.#tellFull(true);
      return false;
    }
  }

  /** Writes what is settled by itself. */
  #writeSettled(): void {
    try {
      this.#commitSettled();
      if (!this.#isFull) this.#tellFull(!this.#doors.spool.hasRoom());
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Where even that finds no room, it is tried again later. */
  #commitSettled(): void {
    if (this.#settled.length + this.#dead.length === 0) return;
    try {
      this.#commit([]);
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== "full") throw error;
      this.#tellFull(true);
      this.#cancelSettle ??= this.#doors.clock.after(FULL_MS, () => {
        this.#cancelSettle = undefined;
        this.#writeSettled();
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
      const group = this.#doors.spool.commit({ arrivals, settled, dead });
      this.#buried(dead);
      return group;
    } catch (error) {
      if (error instanceof StorageError && !error.settled) this.#settled = settled;
      if (error instanceof StorageError && !error.buried) this.#dead = dead;
      else this.#buried(dead);
      throw error;
    }
  }

  /** Their packets are written down as dead letters, and leave memory. */
  #buried(rows: readonly DeadRow[]): void {
    for (const { packet } of rows) this.#window.forget(packet);
    const reason = this.manyDeadLetters;
    if (reason && !this.#hasWarned) this.#doors.log.warn("many dead letters", { reason });
    this.#hasWarned = reason !== undefined;
  }

  /** Into the window if it fits, and nothing older waits unread; else its memory is let go. */
  #place({ packets, bytes }: Group, group: number): void {
    packets.forEach((packet, index) => packet.ref = { group, index });
    if (this.#fits(packets.length, bytes)) {
      this.#cursor = group;
      for (const packet of packets) this.#window.take(packet, memoryBytes(packet));
      return;
    }
    this.#window.release(bytes);
    this.ledger.acceptUnread("spooled", {
      packets: packets.length,
      messages: packets.reduce((sum, packet) => sum + packet.messages, 0),
      bytes: packets.reduce((sum, packet) => sum + packet.bytes, 0),
    });
    // If nothing is in flight, nobody else would ever ask for more.
    this.#feed();
  }

  #fits(packets: number, bytes: number): boolean {
    return this.ledger.count("spooled").packets === 0 &&
      this.ledger.count("queued").packets + packets <= this.capacity &&
      this.ledger.heldBytes + bytes <= this.#windowBytes;
  }

  /** Of groups that are not committed: their memory is free again. */
  #refuseAll(groups: readonly Group[], error: ApiError): void {
    for (const group of groups) {
      this.#window.release(group.bytes);
      group.refuse(error);
    }
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
      this.ledger.heldBytes < this.#windowBytes / 2 &&
      this.#window.hasMemory(Math.min(FEED_BYTES, this.#windowBytes / 2));
  }

  #load(): void {
    const { packets, bytes } = this.ledger.count("spooled");
    const free = this.capacity - this.ledger.count("queued").packets;
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
    const lost = { ...this.ledger.count("spooled") };
    this.#doors.log.error("packets are missing from the spool", { ...lost });
    this.#window.lose(lost);
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

  /** An order may be about a million packets: everything else goes on between its steps. */
  async #inParts(parts: Iterator<Totals>, onPart: (part: Totals) => void): Promise<number> {
    let packets = 0;
    for (;;) {
      const { value, done } = this.#guard(() => parts.next());
      if (done) return packets;
      packets += value.packets;
      onPart(value);
      try {
        await this.#doors.spool.sync();
      } catch (error) {
        this.#fail(error as Error);
        throw storageFailed();
      }
    }
  }

  /** Does what an operator asks of the storage; a fault of it ends the process as any other. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof StorageError && error.kind === "full") {
        throw new ApiError("STORAGE_FULL", error.message, RETRY_LATER);
      }
      this.#fail(error as Error);
      throw storageFailed();
    }
  }

  /** Nothing is acknowledged any more; what was is on disk, and is replayed at the next start. */
  #fail(error: Error): void {
    const isFirst = this.#failure === undefined;
    this.#failure ??= error;
    this.#refuseAll(this.#takeForming(Infinity), storageFailed());
    if (isFirst) this.#doors.onFailed(error);
  }
}

const RETRY_LATER = { "retry-after": "1" };

function storageFailed(): ApiError {
  return new ApiError(
    "STORAGE_FAILED",
    "The storage has failed: send again after a moment",
    RETRY_LATER,
  );
}
