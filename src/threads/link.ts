/**
 * Stands for the queue in an ingest thread: hands packets to the main thread, and waits for word.
 *
 * All that comes up within one turn of the event loop goes in one bundle. Always true: nothing is
 * answered to an agent before the main thread has seen it, be it taken in or refused.
 */

import type { LoopClock } from "../clock.ts";
import type { ErrorCode } from "../errors.ts";
import type { Intake } from "../ingest.ts";
import type { Log, LogFields } from "../log.ts";
import type { Packet } from "../packet.ts";
import type { Commons } from "./commons.ts";
import {
  type Answers,
  type Bundle,
  type Logged,
  type RoomWait,
  type ThreadStart,
  toRefusal,
} from "./messages.ts";
import { type Handover, packParcel } from "./parcel.ts";

export interface LinkDoors {
  readonly commons: Commons;
  readonly clock: LoopClock;
  readonly post: (bundle: Bundle, transfer: Transferable[]) => void;
}

/** What goes with the next bundle. */
class Outbox {
  readonly handovers: Handover[] = [];
  readonly waits: RoomWait[] = [];
  readonly rejected: { ticket: number; code: ErrorCode }[] = [];
  readonly logged: Logged[] = [];
  readonly accepted: number[] = [];
}

export class Link implements Intake {
  readonly durability: "memory" | "disk";
  /** The part of one thread: what it bounds must hold for all together. */
  readonly capacityBytes: number;
  readonly log: Log;
  fullReason = "the queue is full";
  readonly #thread: number;
  readonly #doors: LinkDoors;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #nextTicket = 0;
  #newestAccepted: Promise<void> = Promise.resolve();
  #newestRejected: Promise<void> = Promise.resolve();
  #outbox: Outbox | undefined;

  constructor(start: Pick<ThreadStart, "thread" | "durability">, doors: LinkDoors) {
    this.#thread = start.thread;
    this.#doors = doors;
    this.durability = start.durability;
    this.capacityBytes = doors.commons.capacityBytes / doors.commons.threads;
    this.log = this.#createLog();
  }

  hasRoom(bytes = 0): boolean {
    const { commons } = this.#doors;
    return !commons.isFull && bytes <= commons.freeBytes;
  }

  reserve(bytes: number): boolean {
    return this.#doors.commons.reserve(this.#thread, bytes);
  }

  release(bytes: number): void {
    this.#doors.commons.release(this.#thread, bytes);
  }

  /** The main thread knows when there is. */
  roomAgain(bytes: number, timeoutMs: number): Promise<void> {
    const { ticket, promise } = this.#ask();
    this.#open().waits.push({ ticket, bytes, timeoutMs });
    return promise;
  }

  /** Whether the queue has let it in is told by `kept`. */
  accept(packet: Packet, reservedBytes = 0): boolean {
    const { ticket, promise } = this.#ask();
    this.#open().handovers.push({ packet, reservedBytes, ticket });
    this.#newestAccepted = promise;
    return true;
  }

  /** Of the packet that was accepted last. */
  kept(): Promise<void> {
    return this.#newestAccepted;
  }

  /** A packet that came in at `startedMs` has been accepted: the main thread keeps the count. */
  accepted(startedMs: number): void {
    this.#open().accepted.push(this.#doors.clock.monotonicMs() - startedMs);
  }

  /** Counts a refusal. */
  reject(code: ErrorCode): void {
    const { ticket, promise } = this.#ask();
    this.#open().rejected.push({ ticket, code });
    this.#newestRejected = promise;
  }

  /** Resolves once all refusals so far are counted. */
  counted(): Promise<void> {
    return this.#newestRejected;
  }

  receive({ done, refused, fullReason }: Answers): void {
    this.fullReason = fullReason;
    for (const ticket of done) this.#take(ticket)?.resolve();
    for (const refusal of refused) this.#take(refusal.ticket)?.reject(toRefusal(refusal));
  }

  #ask(): { ticket: number; promise: Promise<void> } {
    const ticket = this.#nextTicket++;
    const call = Promise.withResolvers<void>();
    this.#waiting.set(ticket, call);
    return { ticket, promise: call.promise };
  }

  #take(ticket: number): PromiseWithResolvers<void> | undefined {
    const call = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    return call;
  }

  #open(): Outbox {
    if (this.#outbox) return this.#outbox;
    this.#doors.clock.soon(() => this.#send());
    return this.#outbox = new Outbox();
  }

  #send(): void {
    const { handovers, ...rest } = this.#outbox!;
    this.#outbox = undefined;
    if (handovers.length === 0) return this.#doors.post(rest, []);
    const { parcel, buffers } = packParcel(handovers);
    this.#doors.post({ ...rest, parcel }, buffers);
  }

  #createLog(): Log {
    const tell = (level: Logged["level"]) => (event: string, fields: LogFields = {}) => {
      this.#open().logged.push({ level, event, fields });
    };
    return {
      debug: tell("debug"),
      info: tell("info"),
      warn: tell("warn"),
      error: tell("error"),
      end: () => Promise.resolve(),
    };
  }
}
