/**
 * Holds accepted packets in memory until they are settled, and keeps their books.
 *
 * By itself it is the queue of durability memory; the queue on disk has one as its window.
 */

import { Channel } from "../channel.ts";
import type { Clock } from "../clock.ts";
import { memoryBytes, type Packet, PACKET_OVERHEAD_BYTES, type PacketState } from "../packet.ts";
import { Arrivals } from "./arrivals.ts";
import { type Carried, DeadLetters, type Selection, type Verdict } from "./dead_letter.ts";
import { Delayed } from "./delayed.ts";
import { type Count, Ledger, type Place } from "./ledger.ts";
import type { PacketQueue } from "./packet_queue.ts";

export interface QueueOptions {
  /** Packets that may be queued: waiting, or waiting for a retry. */
  readonly capacity: number;
  /** Bytes that bodies under way and undelivered packets may hold, dead letters included. */
  readonly capacityBytes: number;
  /** Present where other threads take from the same bytes. */
  readonly beside?: Beside | undefined;
}

/** What other threads, which read bodies as well, take of the same memory. */
export interface Beside {
  readonly reservedBytes: number;
  /** Shows them what is taken here. */
  publish(takenBytes: number): void;
}

const UNSETTLED: readonly Place[] = ["queued", "spooled", "in_flight"];

/** What wakes each of those that wait, and the bytes it waits for; longest waiting first. */
type Waiters = Map<() => void, number>;

export class MemoryQueue implements PacketQueue {
  readonly durability = "memory";
  readonly ledger = new Ledger();
  readonly deadLetters = new DeadLetters();
  readonly channel: Channel<Packet>;
  retries = 0;
  readonly #options: QueueOptions;
  readonly #clock: Clock;
  readonly #delayed: Delayed;
  readonly #arrivals = new Arrivals();
  /** Bytes reserved for bodies that are being read. */
  #reservedBytes = 0;
  readonly #roomWaiters: Waiters = new Map();
  readonly #idleWaiters: Waiters = new Map();

  constructor(options: QueueOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.channel = new Channel(options.capacity);
    this.#delayed = new Delayed(clock, (packet) => this.channel.putBack(packet));
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  get capacityBytes(): number {
    return this.#options.capacityBytes;
  }

  hasRoom(bytes = 0): boolean {
    return this.ledger.count("queued").packets < this.#options.capacity && this.hasMemory(bytes);
  }

  /** Whether so many bytes more could be held. */
  hasMemory(bytes: number): boolean {
    return bytes <= this.#freeBytes();
  }

  get heldBytes(): number {
    return this.capacityBytes - this.#freeBytes();
  }

  /** Memory that a packet of the average size takes. */
  get meanBytes(): number {
    const { packets, bytes } = this.ledger.accepted;
    return packets === 0 ? 0 : bytes / packets + PACKET_OVERHEAD_BYTES;
  }

  get isReady(): boolean {
    return this.hasRoom(this.meanBytes);
  }

  get fullReason(): string {
    const lacksBytes = this.ledger.count("queued").packets < this.capacity;
    return lacksBytes && this.manyDeadLetters !== undefined
      ? "dead letters hold the memory that packets need: replay or delete them"
      : "the queue is full";
  }

  get manyDeadLetters(): string | undefined {
    return this.deadLetters.heldBytes > this.capacityBytes / 2
      ? "dead letters hold much of the memory that packets need: replay or delete them"
      : undefined;
  }

  reserve(bytes: number): boolean {
    if (bytes > this.#freeBytes()) return false;
    this.#reservedBytes += bytes;
    if (!this.#isOverdrawn()) return true;
    this.release(bytes);
    return false;
  }

  release(bytes: number): void {
    this.#reservedBytes -= bytes;
    this.#signal();
  }

  adopt(bytes: number): void {
    this.#reservedBytes += bytes;
    this.#publish();
  }

  accept(packet: Packet, reservedBytes = 0): boolean {
    const missingBytes = memoryBytes(packet) - reservedBytes;
    if (!this.hasRoom() || !this.reserve(missingBytes)) return false;
    if (!this.channel.offer(packet)) {
      this.release(missingBytes);
      return false;
    }
    this.#reservedBytes -= memoryBytes(packet);
    this.ledger.accept(packet);
    this.#arrivals.add(packet);
    return true;
  }

  /** Takes in a packet that is on disk already, whatever the bounds: its caller minds them. */
  take(packet: Packet, reservedBytes: number): void {
    this.#reservedBytes -= reservedBytes;
    this.ledger.accept(packet);
    this.#arrivals.add(packet);
    this.channel.add(packet);
  }

  kept(): undefined {}

  /** Takes in a packet that the books have on disk, whatever the bounds: its caller minds them. */
  load(packet: Packet): void {
    this.ledger.load(packet);
    this.#publish();
    this.#arrivals.add(packet);
    this.channel.add(packet);
  }

  /** Its dead letter will be kept elsewhere; until then it holds memory. */
  giveUp(packet: Packet): void {
    this.#move(packet, "in_flight", "dead");
    this.#arrivals.delete(packet);
    this.#signal();
  }

  /** It leaves memory. */
  forget(packet: Packet): void {
    this.ledger.release(packet);
    this.#signal();
  }

  /** What waited on disk cannot be read. */
  lose(count: Readonly<Count>): void {
    this.ledger.lose(count);
    this.#signal();
  }

  roomAgain(bytes: number, timeoutMs: number): Promise<void> {
    return this.#waitIn(this.#roomWaiters, { bytes, timeoutMs });
  }

  start(packet: Packet): void {
    this.#move(packet, "queued", "in_flight");
    this.#signal();
  }

  deliver(packet: Packet): void {
    this.#move(packet, "in_flight", "delivered");
    this.#arrivals.delete(packet);
    this.#signal();
  }

  retry(packet: Packet, delayMs: number): void {
    this.#move(packet, "in_flight", "queued");
    this.retries++;
    if (delayMs <= 0) return this.channel.putBack(packet);
    this.#delayed.add(packet, delayMs);
  }

  putBack(packet: Packet): void {
    if (packet.state !== "queued") {
      throw new Error(`Cannot put back a packet: it is ${packet.state}`);
    }
    this.channel.putBack(packet);
  }

  bury(packet: Packet, verdict: Verdict): void {
    this.#move(packet, "in_flight", "dead");
    this.#arrivals.delete(packet);
    const since = new Date(this.#clock.wallMs()).toISOString();
    this.deadLetters.add({ ...verdict, packet, since, attempts: packet.attempts + 1 });
    this.#signal();
  }

  replay(selection: Selection): Carried {
    const { letters, notFound } = this.deadLetters.takeAll(selection);
    // What is put back last comes out first: so the oldest is.
    const nowMs = this.#clock.monotonicMs();
    for (const { packet } of letters.toReversed()) {
      this.#move(packet, "dead", "queued");
      packet.acceptedAtMs = nowMs;
      this.#arrivals.add(packet);
      packet.attempts = 0;
      packet.rejections = 0;
      packet.tried = [];
      this.channel.putBack(packet);
    }
    return { packets: letters.length, notFound };
  }

  deleteDead(selection: Selection): Carried {
    const { letters, notFound } = this.deadLetters.takeAll(selection);
    for (const { packet } of letters) this.ledger.release(packet);
    this.#signal();
    return { packets: letters.length, notFound };
  }

  oldestAgeSeconds(): number {
    const oldest = this.#arrivals.oldestQueued();
    return oldest ? (this.#clock.monotonicMs() - oldest.acceptedAtMs) / 1000 : 0;
  }

  releaseDelayed(drainMs: number): void {
    this.#delayed.release(drainMs);
  }

  async idle(timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      if (this.#isIdle()) return true;
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (leftMs <= 0) return false;
      await this.#waitIn(this.#idleWaiters, { bytes: 0, timeoutMs: leftMs });
    }
  }

  close(): void {
    this.#delayed.close();
    this.channel.close();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  #isIdle(): boolean {
    return UNSETTLED.every((place) => this.ledger.count(place).packets === 0);
  }

  #move(packet: Packet, from: PacketState, to: PacketState): void {
    if (packet.state !== from) {
      throw new Error(`Cannot settle packet ${JSON.stringify(packet.id)}: it is ${packet.state}`);
    }
    this.ledger.move(packet, to);
  }

  #freeBytes(): number {
    const { beside, capacityBytes } = this.#options;
    const free = capacityBytes - this.ledger.heldBytes - this.#reservedBytes;
    return beside ? free - beside.reservedBytes : free;
  }

  #publish(): void {
    this.#options.beside?.publish(this.ledger.heldBytes + this.#reservedBytes);
  }

  /** Another thread may have taken the same bytes at once: then both see it, and give back. */
  #isOverdrawn(): boolean {
    if (!this.#options.beside) return false;
    this.#publish();
    return this.#freeBytes() < 0;
  }

  /** Wakes whoever waits for room, and for the end. */
  #signal(): void {
    this.#publish();
    if (this.#roomWaiters.size > 0) this.#wakeForRoom();
    if (this.#idleWaiters.size > 0 && this.#isIdle()) {
      for (const wake of this.#idleWaiters.keys()) wake();
    }
  }

  /** Wakes as many as there is room for. */
  #wakeForRoom(): void {
    let packets = this.capacity - this.ledger.count("queued").packets;
    let bytes = this.#freeBytes();
    for (const [wake, needed] of this.#roomWaiters) {
      packets--;
      bytes -= needed;
      if (packets < 0 || bytes < 0) return;
      wake();
    }
  }

  #waitIn(waiters: Waiters, { bytes, timeoutMs }: { bytes: number; timeoutMs: number }) {
    return new Promise<void>((resolve) => {
      const wake = () => {
        cancel();
        waiters.delete(wake);
        resolve();
      };
      const cancel = this.#clock.after(timeoutMs, wake);
      waiters.set(wake, bytes);
    });
  }
}
