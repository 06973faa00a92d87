/**
 * Holds accepted packets in memory until they are settled, and keeps their books.
 *
 *   accept ─▶ queued ─start─▶ in flight ─deliver─▶ delivered
 *               ▲  ▲             │ │
 *        replay │  └─retry, back─┘ └─bury─▶ dead
 * Called by ingest (accept), the workers (all else) and admin (dead letters).
 */

import { Channel } from "../channel.ts";
import type { Cancel, Clock } from "../clock.ts";
import { Heap } from "../heap.ts";
import { memoryBytes, type Packet, type PacketState } from "../packet.ts";
import { DeadLetters, type Selection, type Verdict } from "./dead_letter.ts";
import { Ledger } from "./ledger.ts";

export interface QueueOptions {
  /** Packets that may be queued: waiting, or waiting for a retry. */
  readonly capacity: number;
  /** Bytes that accepted and undelivered packets may hold, dead letters included. */
  readonly capacityBytes: number;
}

export class MemoryQueue {
  readonly durability = "memory";
  readonly ledger = new Ledger();
  readonly deadLetters = new DeadLetters();
  /** What the workers pull from. */
  readonly channel: Channel<Packet>;
  /** Failed attempts that were followed by another try. */
  retries = 0;
  readonly #options: QueueOptions;
  readonly #clock: Clock;
  /** Packets that wait out their back-off, by due time. */
  readonly #delayed = new Heap<Packet>();
  #cancelWake: Cancel | undefined;
  #wakeAtMs = Infinity;
  #closed = false;
  readonly #roomWaiters = new Set<() => void>();
  readonly #idleWaiters = new Set<() => void>();

  constructor(options: QueueOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.channel = new Channel(options.capacity);
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  get capacityBytes(): number {
    return this.#options.capacityBytes;
  }

  /** Whether a packet of this size would be let in now. */
  hasRoom(bytes = 0): boolean {
    return this.ledger.count("queued").packets < this.#options.capacity &&
      this.ledger.heldBytes + bytes <= this.#options.capacityBytes;
  }

  /** Lets a packet in, or says no because the queue is full. What is let in is never dropped. */
  accept(packet: Packet): boolean {
    if (!this.hasRoom(memoryBytes(packet)) || !this.channel.offer(packet)) return false;
    this.ledger.accept(packet);
    return true;
  }

  /** Resolves when there may be room again, at the latest after `timeoutMs`. */
  roomAgain(timeoutMs: number): Promise<void> {
    return waitIn(this.#roomWaiters, this.#clock, timeoutMs);
  }

  /** Its attempt begins. */
  start(packet: Packet): void {
    this.#move(packet, "queued", "in_flight");
    this.#signal();
  }

  /** An analyzer has it. */
  deliver(packet: Packet): void {
    this.#move(packet, "in_flight", "delivered");
    this.#signal();
  }

  /** Its attempt failed; another follows after `delayMs`. */
  retry(packet: Packet, delayMs: number): void {
    this.#move(packet, "in_flight", "queued");
    this.retries++;
    if (delayMs <= 0) return this.channel.putBack(packet);
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#delayed.push(dueMs, packet);
    if (dueMs < this.#wakeAtMs && !this.#closed) this.#wakeAt(dueMs);
  }

  /** It was never sent: it goes back to be drawn again, ahead of newer packets. */
  putBack(packet: Packet): void {
    if (packet.state !== "queued") {
      throw new Error(`Cannot put back a packet: it is ${packet.state}`);
    }
    this.channel.putBack(packet);
  }

  /** It is given up, and kept as a dead letter. */
  bury(packet: Packet, verdict: Verdict): void {
    this.#move(packet, "in_flight", "dead");
    const since = new Date(this.#clock.wallMs()).toISOString();
    this.deadLetters.add({ ...verdict, packet, since, attempts: packet.attempts + 1 });
    this.#signal();
  }

  /** Queues dead letters again, as if they had just come; returns how many. */
  replay(selection: Selection): number {
    const letters = this.deadLetters.takeAll(selection);
    // What is put back last comes out first: so the oldest is.
    for (const { packet } of letters.toReversed()) {
      this.#move(packet, "dead", "queued");
      packet.attempts = 0;
      packet.rejections = 0;
      packet.tried = [];
      this.channel.putBack(packet);
    }
    return letters.length;
  }

  /** Deletes dead letters for good; they still count as dead lettered. Returns how many. */
  deleteDead(selection: Selection): number {
    const letters = this.deadLetters.takeAll(selection);
    for (const { packet } of letters) this.ledger.release(packet);
    this.#signal();
    return letters.length;
  }

  /** The age of the packet that has waited longest here, in seconds; 0 when none waits. */
  oldestAgeSeconds(): number {
    let oldestMs = Infinity;
    for (const packet of this.channel.front()) oldestMs = Math.min(oldestMs, packet.acceptedAtMs);
    for (const packet of this.#delayed.values()) oldestMs = Math.min(oldestMs, packet.acceptedAtMs);
    return oldestMs === Infinity ? 0 : (this.#clock.monotonicMs() - oldestMs) / 1000;
  }

  /** Resolves when nothing is queued and nothing in flight, at the latest after `timeoutMs`. */
  async idle(timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      if (this.#isIdle()) return true;
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (leftMs <= 0) return false;
      await waitIn(this.#idleWaiters, this.#clock, leftMs);
    }
  }

  /** Ends the workers' loops. What is left stays counted. */
  close(): void {
    this.#closed = true;
    this.#cancelWake?.();
    this.channel.close();
  }

  #isIdle(): boolean {
    return this.ledger.count("queued").packets === 0 &&
      this.ledger.count("in_flight").packets === 0;
  }

  #move(packet: Packet, from: PacketState, to: PacketState): void {
    if (packet.state !== from) {
      throw new Error(`Cannot settle packet ${JSON.stringify(packet.id)}: it is ${packet.state}`);
    }
    this.ledger.move(packet, to);
  }

  /** Wakes whoever waits for room, and for the end. */
  #signal(): void {
    if (this.#roomWaiters.size > 0 && this.hasRoom()) wakeAll(this.#roomWaiters);
    if (this.#idleWaiters.size > 0 && this.#isIdle()) wakeAll(this.#idleWaiters);
  }

  #wakeAt(dueMs: number): void {
    this.#cancelWake?.();
    this.#wakeAtMs = dueMs;
    this.#cancelWake = this.#clock.after(Math.max(0, dueMs - this.#clock.monotonicMs()), () => {
      this.#wakeAtMs = Infinity;
      this.#releaseDue();
    });
  }

  #releaseDue(): void {
    const nowMs = this.#clock.monotonicMs();
    for (let due = this.#delayed.peekKey(); due !== undefined; due = this.#delayed.peekKey()) {
      if (due > nowMs) return this.#wakeAt(due);
      this.channel.putBack(this.#delayed.pop()!);
    }
  }
}

function waitIn(waiters: Set<() => void>, clock: Clock, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      waiters.delete(done);
      resolve();
    };
    const cancel = clock.after(timeoutMs, done);
    waiters.add(done);
  });
}

function wakeAll(waiters: Set<() => void>): void {
  for (const wake of [...waiters]) wake();
}
