/**
 * Gathers what is to be written to the spool, commits it together, and waits for the disk.
 *
 *   add ─▶ group ─commit─▶ placed ─sync─▶ kept: the 202 goes out
 *   settle, bury ─▶ with the next commit, or after a moment by themselves
 * Owned by the disk queue. Always true: there is one sync at a time, and what comes meanwhile shares
 * the next one; after a failure nothing is committed and nothing is acknowledged any more.
 */

import { type Cancel, type LoopClock, sleep } from "../clock.ts";
import type { ApiError } from "../errors.ts";
import { failpoint } from "../failpoint.ts";
import type { Log } from "../log.ts";
import { memoryBytes, type Packet, type PacketRef } from "../packet.ts";
import { queueFull, storageFailed } from "./refusals.ts";
import type { DeadRow, Spool } from "./spool.ts";
import { isFull, StorageError } from "./storage_error.ts";

/** What is written before others get a turn, at most. */
const WRITE_BYTES = 8 * 1024 * 1024;
/** Settled packets wait this long for a commit that is due anyway. */
const SETTLE_MS = 5;
/** A disk that was full is asked again after this long. */
const FULL_MS = 500;
/** The last commit, at the end, is waited for this long. */
const FINISH_MS = 1000;

/** Packets that are committed together. */
export class Group {
  readonly packets: Packet[] = [];
  /** Memory that they take. */
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

export interface CommitterOptions {
  /** Of one group. */
  readonly maxPackets: number;
  readonly maxBytes: number;
}

export interface CommitterDoors {
  readonly spool: Pick<Spool, "commit" | "sync" | "hasRoom">;
  readonly clock: LoopClock;
  readonly log: Log;
  /** A group is committed, under this number. */
  readonly onCommitted: (group: Group, number: number) => void;
  /** A group is not going to be: its packets are out of the queue again. */
  readonly onRefused: (group: Group) => void;
  readonly onBuried: (rows: readonly DeadRow[]) => void;
  /** The storage can no longer be trusted. */
  readonly onFailed: (error: Error) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #doors: CommitterDoors;
  /** Not yet committed; the last group is still open. */
  readonly #forming: Group[] = [];
  #formingBytes = 0;
  #settled: PacketRef[] = [];
  #dead: DeadRow[] = [];
  /** Resolves when nothing is being committed any more. */
  #run: Promise<void> | undefined;
  #cancelSettle: Cancel | undefined;
  #isFull = false;
  #askAgainAtMs = -Infinity;
  #failure: Error | undefined;

  constructor(options: CommitterOptions, doors: CommitterDoors) {
    this.#options = options;
    this.#doors = doors;
  }

  /** Why nothing can be written any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Whether groups are being committed, which the caller's books do not show yet. */
  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  /** Dead letters that are not written down yet. */
  get unburied(): number {
    return this.#dead.length;
  }

  /** Whether the disk takes no packets; a full one is asked again now and then. */
  isShut(): boolean {
    if (this.#failure !== undefined) return true;
    if (!this.#isFull) return false;
    // Nobody tells when another has freed the disk.
    if (this.#doors.clock.monotonicMs() < this.#askAgainAtMs) return true;
    this.#tellFull(!this.#doors.spool.hasRoom());
    return this.#isFull;
  }

  /** Whether there is room for so many bytes beside what is going to be committed. */
  hasRoom(bytes: number): boolean {
    return !this.isShut() && this.#doors.spool.hasRoom(this.#formingBytes + bytes);
  }

  /** Takes a packet into the next commit. */
  add(packet: Packet): void {
    const bytes = memoryBytes(packet);
    const { maxPackets, maxBytes } = this.#options;
    let group = this.#forming.at(-1);
    const isOpen = group && group.packets.length < maxPackets && group.bytes + bytes <= maxBytes;
    if (!group || !isOpen) this.#forming.push(group = new Group());
    group.add(packet);
    this.#formingBytes += bytes;
    this.#commitSoon();
  }

  /** Resolves once the packet that was added last is synced. */
  kept(): Promise<void> | undefined {
    return this.#forming.at(-1)?.kept.promise;
  }

  settle(ref: PacketRef): void {
    this.#settled.push(ref);
    this.#settleSoon();
  }

  bury(row: DeadRow): void {
    this.#dead.push(row);
    this.#settleSoon();
  }

  /**
   * Writes down at once what is settled.
   *
   * @throws {StorageError}
   */
  flush(): void {
    if (this.#settled.length + this.#dead.length > 0) this.#commit([]);
  }

  /** Waits for what is being committed, at most so long. */
  async runEnds(timeoutMs: number): Promise<void> {
    if (!this.#run || timeoutMs <= 0) return;
    const late = new AbortController();
    await Promise.race([this.#run, sleep(timeoutMs, this.#doors.clock, late.signal)]);
    late.abort();
  }

  /** Nothing is acknowledged any more; what was is on disk, and is replayed at the next start. */
  fail(error: Error): void {
    const isFirst = this.#failure === undefined;
    this.#failure ??= error;
    this.#refuseAll(this.#takeForming(Infinity), storageFailed());
    if (isFirst) this.#doors.onFailed(error);
  }

  /** Writes down what is settled, and refuses all else from then on. */
  async finish(): Promise<void> {
    await this.runEnds(FINISH_MS);
    if (!this.#failure) this.#writeSettled();
    this.#endSettleTimer();
    this.#failure ??= new Error("Cannot write to the spool: it is closed");
    this.#refuseAll(this.#takeForming(Infinity), storageFailed());
  }

  #tellFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#askAgainAtMs = this.#doors.clock.monotonicMs() + FULL_MS;
  }

  #commitSoon(): void {
    if (this.#run) return;
    this.#endSettleTimer();
    const turn = new Promise<void>((resolve) => this.#doors.clock.soon(resolve));
    this.#run = turn.then(() => this.#commitAll());
  }

  #settleSoon(delayMs = SETTLE_MS): void {
    if (this.#run || this.#failure) return;
    this.#cancelSettle ??= this.#doors.clock.after(delayMs, () => {
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
      // Something else may have failed meanwhile, whose end the process has not come to yet.
      if (this.#failure) throw this.#failure;
    } catch (error) {
      for (const group of groups) group.refuse(storageFailed());
      return this.fail(error as Error);
    }
    failpoint("before_202");
    for (const group of groups) group.kept.resolve();
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
        this.#tryCommit(group, written);
      }
      if (!this.#isFull) this.#tellFull(!this.#doors.spool.hasRoom());
      return written;
    } catch (error) {
      for (const group of written) group.refuse(storageFailed());
      this.#refuseAll(groups, storageFailed());
      this.fail(error as Error);
      return [];
    }
  }

  /** Commits a group, or refuses it where the disk is full. */
  #tryCommit(group: Group, written: Group[]): void {
    let number: number;
    try {
      number = this.#commit(group.packets);
    } catch (error) {
      const { message } = error as Error;
      this.#refuseAll([group], isFull(error) ? queueFull(message) : storageFailed());
      if (!isFull(error)) throw error;
      this.#doors.log.warn("packets refused", { reason: message });
      this.#tellFull(true);
      return;
    }
    written.push(group);
    this.#doors.onCommitted(group, number);
  }

  /** Writes what is settled by itself; where even that finds no room, it is tried again later. */
  #writeSettled(): void {
    try {
      this.flush();
      if (!this.#isFull) this.#tellFull(!this.#doors.spool.hasRoom());
    } catch (error) {
      if (!isFull(error)) return this.fail(error as Error);
      this.#tellFull(true);
      if (this.#settled.length + this.#dead.length > 0) this.#settleSoon(FULL_MS);
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
      if (dead.length > 0) this.#doors.onBuried(dead);
      return group;
    } catch (error) {
      if (error instanceof StorageError && !error.settled) this.#settled = settled;
      if (error instanceof StorageError && !error.buried) this.#dead = dead;
      else if (dead.length > 0) this.#doors.onBuried(dead);
      throw error;
    }
  }

  #refuseAll(groups: readonly Group[], error: ApiError): void {
    for (const group of groups) {
      this.#doors.onRefused(group);
      group.refuse(error);
    }
  }
}
