/**
 * Takes in, for the main thread, what one ingest thread hands over, and gives it word.
 *
 * The queue decides here as for packets that arrived at the main thread itself.
 */

import type { Clock } from "../clock.ts";
import { acceptLater, type IngestDoors } from "../ingest.ts";
import type { Instruments } from "../instruments.ts";
import type { Log } from "../log.ts";
import type { PacketQueue } from "../queue/packet_queue.ts";
import { draining } from "../queue/refusals.ts";
import { confess } from "../problem.ts";
import type { Commons } from "./commons.ts";
import { type Answers, type Bundle, describeRefusal, type RoomWait } from "./messages.ts";
import { type Handover, unpackParcel } from "./parcel.ts";

export interface ReceptionDoors {
  readonly queue: PacketQueue;
  readonly metrics: IngestDoors["metrics"];
  readonly instruments: Pick<Instruments, "accept">;
  readonly commons: Commons;
  readonly clock: Clock;
  readonly log: Log;
  readonly isOpen: () => boolean;
}

export class Reception {
  readonly #doors: ReceptionDoors;
  readonly #thread: number;
  readonly #answer: (answers: Answers) => void;

  constructor(
    thread: number,
    { doors, answer }: { doors: ReceptionDoors; answer: (answers: Answers) => void },
  ) {
    this.#thread = thread;
    this.#doors = doors;
    this.#answer = answer;
  }

  receive({ parcel, waits, rejected, logged, accepted }: Bundle): void {
    const { log, metrics, instruments, queue, commons, clock } = this.#doors;
    for (const { level, event, fields } of logged) {
      log[level](event, { ...fields, thread: this.#thread });
    }
    for (const { code } of rejected) metrics.reject(code);
    for (const durationMs of accepted) instruments.accept.observe(durationMs);
    // What the thread has given back, nobody here has noticed.
    if (rejected.length > 0) queue.release(0);
    for (const wait of waits) void this.#waitForRoom(wait);
    const done = rejected.map(({ ticket }) => ticket);
    const handovers = parcel ? unpackParcel(parcel, clock.monotonicMs()) : [];
    done.push(...this.#takeIn(handovers));
    commons.tellFull(!queue.hasRoom());
    if (done.length > 0) this.#settle(done);
  }

  /** Returns the tickets of those that are kept already. */
  #takeIn(handovers: readonly Handover[]): readonly number[] {
    const { queue, commons, isOpen } = this.#doors;
    const reservedBytes = handovers.reduce((sum, one) => sum + one.reservedBytes, 0);
    queue.adopt(reservedBytes);
    commons.release(this.#thread, reservedBytes);
    // Packets of one commit share their promise, and their answer.
    const groups = new Map<Promise<void> | undefined, number[]>();
    for (const one of handovers) {
      if (!isOpen() || !queue.accept(one.packet, one.reservedBytes)) {
        void this.#takeInLater(one);
        continue;
      }
      const kept = queue.kept();
      const group = groups.get(kept);
      if (group) group.push(one.ticket);
      else groups.set(kept, [one.ticket]);
    }
    for (const [kept, tickets] of groups) if (kept) void this.#settleOnce(kept, tickets);
    return groups.get(undefined) ?? [];
  }

  async #takeInLater({ packet, reservedBytes, ticket }: Handover): Promise<void> {
    const { queue, isOpen } = this.#doors;
    try {
      if (!isOpen()) throw draining();
      const { kept } = await acceptLater(packet, { reservedBytes, doors: this.#doors });
      void this.#settleOnce(kept, [ticket]);
    } catch (error) {
      queue.release(reservedBytes);
      return this.#refuse([ticket], error);
    }
  }

  async #settleOnce(kept: Promise<void> | undefined, tickets: readonly number[]): Promise<void> {
    try {
      if (kept) await kept;
      this.#settle(tickets);
    } catch (error) {
      this.#refuse(tickets, error);
    }
  }

  async #waitForRoom({ ticket, bytes, timeoutMs }: RoomWait): Promise<void> {
    const { queue, commons } = this.#doors;
    if (!queue.hasRoom(bytes)) await queue.roomAgain(bytes, timeoutMs);
    commons.tellFull(!queue.hasRoom());
    this.#settle([ticket]);
  }

  #settle(done: readonly number[]): void {
    this.#answer({ done, refused: [], fullReason: this.#doors.queue.fullReason });
  }

  #refuse(tickets: readonly number[], error: unknown): void {
    const refusal = confess(error, this.#doors.log);
    const refused = tickets.map((ticket) => describeRefusal(ticket, refusal));
    this.#answer({ done: [], refused, fullReason: this.#doors.queue.fullReason });
  }
}
