/**
 * Holds accepted packets on disk until they are settled, and as many as fit in memory as well.
 *
 *   accept ─▶ committer ─▶ spool ─fits─▶ window (memory) ─▶ channel …
 *                              └─else─▶ waits, unread ─feed─▶ window
 * Always true: a packet is removed from disk only after it was delivered, or with its dead letter.
 */

import type { Channel } from "../channel.ts";
import type { LoopClock } from "../clock.ts";
import { failpoint } from "../failpoint.ts";
import type { Log } from "../log.ts";
import { memoryBytes, type Packet } from "../packet.ts";
import { Committer } from "./committer.ts";
import type { Carried, DeadLetterBook, Selection, Verdict } from "./dead_letter.ts";
import type { DeadPart } from "./dead_rows.ts";
import { Feed } from "./feed.ts";
import type { Ledger } from "./ledger.ts";
import { MemoryQueue, type QueueOptions } from "./memory.ts";
import type { PacketQueue } from "./packet_queue.ts";
import { draining, storageFailed, storageFull } from "./refusals.ts";
import type { DeadRow, Spool } from "./spool.ts";
import { isFull } from "./storage_error.ts";

/** What one commit takes together, at most. */
const GROUP_PACKETS = 256;
const GROUP_BYTES = 4 * 1024 * 1024;
/** The rest of the memory is for bodies that are coming in, and for those being committed. */
const WINDOW_PART = 1 / 2;
/** Of what packets may take of the disk, this part held by dead letters is worth a warning. */
const DEAD_WARNING_PART = 1 / 2;

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

export class DiskQueue implements PacketQueue {
  readonly durability = "disk";
  readonly deadLetters: DeadLetterBook;
  readonly #doors: DiskQueueDoors;
  readonly #window: MemoryQueue;
  readonly #committer: Committer;
  readonly #feed: Feed;
  #hasWarned = false;
  #isDraining = false;

  constructor(options: QueueOptions, doors: DiskQueueDoors) {
    const { spool, clock, log, onFailed } = doors;
    this.#doors = doors;
    this.#window = new MemoryQueue(options, clock);
    const windowBytes = options.capacityBytes * WINDOW_PART;
    this.#committer = new Committer({
      maxPackets: Math.min(GROUP_PACKETS, options.capacity),
      maxBytes: Math.min(GROUP_BYTES, windowBytes),
    }, {
      spool,
      clock,
      log,
      onCommitted: (group, number) => this.#feed.place(group, number),
      onRefused: ({ bytes }) => this.release(bytes),
      onBuried: (rows) => this.#buried(rows),
      onFailed,
    });
    const { ledger } = this.#window;
    const parts = { window: this.#window, committer: this.#committer };
    this.#feed = new Feed(windowBytes, { spool, clock, log, ...parts });
    this.deadLetters = this.#readDeadLetters();
    ledger.acceptUnread("spooled", spool.found);
    ledger.acceptUnread("dead", spool.dead.totals());
    this.#feed.readOn();
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

  get heldBytes(): number {
    return this.#window.heldBytes;
  }

  hasRoom(bytes = 0): boolean {
    return !this.#committer.isShut() && this.#window.hasMemory(bytes);
  }

  get isReady(): boolean {
    const { meanBytes } = this.#window;
    return this.#committer.hasRoom(meanBytes) && this.#window.hasMemory(meanBytes);
  }

  get fullReason(): string {
    if (this.#committer.failure) return "the storage has failed";
    // With less than this left, a large packet may already have found too little.
    if (this.#committer.hasRoom(GROUP_BYTES)) {
      return "the memory for packets coming in is full";
    }
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
    this.#feed.readOn();
  }

  adopt(bytes: number): void {
    this.#window.adopt(bytes);
  }

  roomAgain(bytes: number, timeoutMs: number): Promise<void> {
    return this.#window.roomAgain(bytes, timeoutMs);
  }

  accept(packet: Packet, reservedBytes = 0): boolean {
    const bytes = memoryBytes(packet);
    if (!this.#committer.hasRoom(bytes)) return false;
    if (!this.#window.reserve(bytes - reservedBytes)) return false;
    this.#committer.add(packet);
    return true;
  }

  kept(): Promise<void> | undefined {
    return this.#committer.kept();
  }

  start(packet: Packet): void {
    this.#window.start(packet);
  }

  deliver(packet: Packet): void {
    failpoint("before_settle");
    this.#window.deliver(packet);
    this.#committer.settle(packet.ref!);
    this.#feed.readOn();
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
    const attempts = packet.attempts + 1;
    this.#committer.bury({ ref: packet.ref!, packet, verdict, since, attempts });
    this.#feed.readOn();
  }

  replay(selection: Selection): Promise<Carried> {
    return this.#inParts(this.#settledSpool().dead.replayParts(selection), (part) => {
      this.ledger.respool(part);
      this.#feed.readOn();
    });
  }

  deleteDead(selection: Selection): Promise<Carried> {
    return this.#inParts(this.#settledSpool().dead.deleteParts(selection), () => {});
  }

  oldestAgeSeconds(): number {
    return this.#window.oldestAgeSeconds();
  }

  releaseDelayed(drainMs: number): void {
    this.#isDraining = true;
    this.#window.releaseDelayed(drainMs);
  }

  async idle(timeoutMs: number): Promise<boolean> {
    const { clock } = this.#doors;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const leftMs = () => Math.max(0, deadlineMs - clock.monotonicMs());
    for (;;) {
      // What is being committed is not in the books yet.
      await this.#committer.runEnds(leftMs());
      const isIdle = await this.#window.idle(leftMs());
      if (!isIdle || !this.#committer.isRunning) return isIdle;
      if (leftMs() === 0) return false;
    }
  }

  close(): void {
    this.#window.close();
  }

  async finish(): Promise<void> {
    await this.#committer.finish();
    this.#doors.spool.close();
  }

  /** Their packets are written down as dead letters, and leave memory. */
  #buried(rows: readonly DeadRow[]): void {
    for (const { packet } of rows) this.#window.forget(packet);
    this.#feed.readOn();
    const reason = this.manyDeadLetters;
    if (reason && !this.#hasWarned) this.#doors.log.warn("many dead letters", { reason });
    this.#hasWarned = reason !== undefined;
  }

  /** The spool, with everything that is settled written down. */
  #settledSpool(): SpoolPart {
    this.#guard(() => this.#committer.flush());
    return this.#doors.spool;
  }

  #readDeadLetters(): DeadLetterBook {
    const { spool } = this.#doors;
    const pending = () => this.#committer.unburied;
    return {
      get size() {
        return spool.dead.totals().packets + pending();
      },
      get heldBytes() {
        return spool.dead.totals().bytes;
      },
      list: (page) => this.#settledSpool().dead.list(page),
      bytesOf: (id) => this.#settledSpool().dead.get(id)?.data,
    };
  }

  /**
   * An order may be about a million packets: everything else goes on between its steps. A drain ends
   * it after the step it is at, as the packets it would bring could not be waited for.
   */
  async #inParts(parts: Iterator<DeadPart>, onPart: (part: DeadPart) => void): Promise<Carried> {
    let packets = 0;
    const notFound: string[] = [];
    for (;;) {
      if (this.#isDraining) throw draining();
      const { value, done } = this.#guard(() => parts.next());
      if (done) return { packets, notFound };
      packets += value.packets;
      if (value.missing !== undefined) notFound.push(value.missing);
      onPart(value);
      try {
        await this.#doors.spool.sync();
      } catch (error) {
        this.#committer.fail(error as Error);
        throw storageFailed();
      }
    }
  }

  /** Does what an operator asks of the storage; a fault of it ends the process as any other. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isFull(error)) throw storageFull((error as Error).message);
      this.#committer.fail(error as Error);
      throw storageFailed();
    }
  }
}
