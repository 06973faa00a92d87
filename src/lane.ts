/**
 * The way to one analyzer: packets that were drawn for it, and the attempts under way.
 *
 * Owned by the dispatch of `worker.ts`. An analyzer that offers batches gets what waits in few
 * large requests; any other gets one packet a request. Nothing waits here once it is withdrawn.
 */

import type { Analyzer } from "./analyzer.ts";
import type { Clock } from "./clock.ts";
import type { Delivery } from "./delivery.ts";
import type { Instruments } from "./instruments.ts";
import type { Log } from "./log.ts";
import { type FailedOutcome, isBusyStatus } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import type { DeadReason } from "./queue/dead_letter.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import type { Random } from "./random.ts";
import type { Registry } from "./registry.ts";
import { nextStep, type RetryPolicy } from "./retry.ts";
import type { Tracing } from "./tracing.ts";

export interface LaneLimits {
  /** Requests under way to one analyzer. */
  readonly maxInFlight: number;
  /** Requests under way to an analyzer that takes batches. */
  readonly maxBatchesInFlight: number;
  /** Packets in one batch. */
  readonly maxBatchPackets: number;
  /** Bytes in one batch of more than one packet. */
  readonly maxBatchBytes: number;
}

export interface LaneDoors {
  readonly queue: PacketQueue;
  readonly registry: Registry;
  readonly delivery: Delivery;
  readonly instruments?: Instruments;
  readonly tracing?: Tracing | undefined;
  readonly policy: RetryPolicy;
  readonly limits: LaneLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether the distributor has stopped: what fails from then on is its own doing. */
  readonly isStopped: () => boolean;
}

/** What makes a batch worth sending while others are under way, or before its time. */
const WORTHWHILE_PACKETS = 64;
const WORTHWHILE_BYTES = 128 * 1024;
/**
 * Under load, what has come since the last answer is given this long for company: a request costs
 * as much as 20 packets in it. An analyzer whose last request held one packet gets the next at once.
 */
const GATHER_MS = 2;
/** What waits for an answer that is not worth a request of its own goes out after this long. */
const PATIENCE_MS = 50;

type Batch = [Packet, ...Packet[]];

/** Packets an analyzer may be drawn for before it is full. */
export function maxLoad(analyzer: Analyzer, limits: LaneLimits): number {
  if (analyzer.health.state === "probation") return 1;
  return maxRequests(analyzer, limits) * maxPackets(analyzer, limits);
}

/** Requests under way to it, at most. */
function maxRequests(analyzer: Analyzer, limits: LaneLimits): number {
  return maxPackets(analyzer, limits) > 1
    ? Math.min(limits.maxBatchesInFlight, limits.maxInFlight)
    : limits.maxInFlight;
}

/** Packets in one request to it, at most. */
function maxPackets(analyzer: Analyzer, limits: LaneLimits): number {
  return analyzer.batches ? limits.maxBatchPackets : 1;
}

export class Lane {
  readonly #analyzer: Analyzer;
  readonly #doors: LaneDoors;
  #waiting: Packet[] = [];
  #waitingBytes = 0;
  #requests = 0;
  /** What comes now is to wait for company; a timer ends it. */
  #gathering = false;
  /** A timer is running that ends the waiting for an answer. */
  #waitingForAnswer = false;

  constructor(analyzer: Analyzer, doors: LaneDoors) {
    this.#analyzer = analyzer;
    this.#doors = doors;
  }

  /** Takes a packet that was drawn for this analyzer. */
  send(packet: Packet): void {
    this.#waiting.push(packet);
    this.#waitingBytes += packet.bytes;
    this.#startRequests();
  }

  /** Gives back what waits, to be drawn again; requests under way go on. */
  withdraw(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#doors.registry.release(this.#analyzer, waiting.length);
    for (const packet of waiting.reverse()) this.#doors.queue.putBack(packet);
  }

  #startRequests(): void {
    while (this.#mayStart()) this.#startRequest();
    if (this.#waiting.length > 0 && this.#requests > 0) this.#limitWaiting();
  }

  #startRequest(): void {
    const batch = this.#takeBatch();
    this.#requests++;
    this.#doors.instruments?.started(batch);
    for (const packet of batch) this.#doors.queue.start(packet);
    this.#analyzer.inFlight += batch.length;
    void this.#run(batch);
  }

  /**
   * Whether what waits goes out now. A further batch beside one that is under way must be worth a
   * request of its own; until then waiting costs nothing, as the answer mostly comes first.
   */
  #mayStart(): boolean {
    const { limits, isStopped } = this.#doors;
    if (this.#waiting.length === 0 || isStopped()) return false;
    if (this.#requests >= maxRequests(this.#analyzer, limits)) return false;
    const most = maxPackets(this.#analyzer, limits);
    if (most === 1) return true;
    const isWorthwhile = this.#waiting.length >= Math.min(WORTHWHILE_PACKETS, most) ||
      this.#waitingBytes >= Math.min(WORTHWHILE_BYTES, limits.maxBatchBytes);
    return isWorthwhile || (this.#requests === 0 && !this.#gathering);
  }

  /** An answer that does not come, comes late or never: what waits for it must not. */
  #limitWaiting(): void {
    if (this.#waitingForAnswer) return;
    this.#waitingForAnswer = true;
    this.#doors.clock.after(PATIENCE_MS, () => {
      this.#waitingForAnswer = false;
      const { limits, isStopped } = this.#doors;
      const mayStart = this.#requests < maxRequests(this.#analyzer, limits) && !isStopped();
      if (mayStart && this.#waiting.length > 0) this.#startRequest();
      this.#startRequests();
    });
  }

  /**
   * What goes into the next request: the packets that wait, up to the limits, at least one. One
   * that has failed before goes alone, so that it can take no other along.
   */
  #takeBatch(): Batch {
    const { limits } = this.#doors;
    const waiting = this.#waiting;
    const most = waiting[0]!.attempts > 0 ? 1 : maxPackets(this.#analyzer, limits);
    let bytes = waiting[0]!.bytes;
    let count = 1;
    while (count < most && count < waiting.length && waiting[count]!.attempts === 0) {
      const more = waiting[count]!.bytes;
      if (bytes + more > limits.maxBatchBytes) break;
      bytes += more;
      count++;
    }
    this.#waitingBytes -= bytes;
    return waiting.splice(0, count) as Batch;
  }

  async #run(batch: Batch): Promise<void> {
    try {
      await this.#attempt(batch);
    } finally {
      this.#requests--;
      if (batch.length > 1) this.#gather();
      this.#startRequests();
    }
  }

  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#doors.clock.after(GATHER_MS, () => {
      this.#gathering = false;
      this.#startRequests();
    });
  }

  /** Posts a batch and settles it; where an answer refuses it, each half by itself. */
  async #attempt(batch: Batch): Promise<void> {
    const { clock, delivery, registry, isStopped } = this.#doors;
    const startedMs = clock.monotonicMs();
    const span = this.#doors.tracing?.begin(batch, this.#analyzer.id);
    const outcome = await delivery.post(this.#analyzer.url, batch);
    span?.end(outcome);
    if (outcome.kind === "delivered") {
      return this.#settleDelivered(batch, { startedMs, latencyMs: outcome.latencyMs });
    }
    // Cut off by the end of a drain: it stays in flight, where it counts as left.
    if (isStopped()) return;
    const undecided = batch.length > 1 && mayBlameOne(outcome);
    registry.failed(this.#analyzer, outcome, { packet: batch[0], startedMs, undecided });
    if (undecided) return await this.#halve(batch);
    const isAlone = batch.length === 1;
    for (const packet of batch) this.#settleFailed(packet, { outcome, isAlone });
  }

  async #halve(batch: Batch): Promise<void> {
    const middle = batch.length >> 1;
    for (const half of [batch.slice(0, middle), batch.slice(middle)] as Batch[]) {
      if (this.#analyzer.available) await this.#attempt(half);
      else this.#giveBack(half);
    }
  }

  /** Withdrawn in the middle of it: the analyzer has refused these, but it was not their turn. */
  #giveBack(batch: Batch): void {
    for (const packet of batch) this.#doors.queue.retry(packet, 0);
    this.#done(batch.length);
  }

  #settleDelivered(batch: Batch, attempt: { startedMs: number; latencyMs: number }): void {
    const { queue, registry } = this.#doors;
    let messages = 0;
    for (const packet of batch) {
      messages += packet.messages;
      queue.deliver(packet);
    }
    this.#done(batch.length);
    this.#doors.instruments?.delivered(batch, attempt.latencyMs);
    registry.delivered(this.#analyzer, { packets: batch.length, messages, ...attempt });
  }

  #settleFailed(
    packet: Packet,
    { outcome, isAlone }: { outcome: FailedOutcome; isAlone: boolean },
  ): void {
    const { queue, registry, policy, random } = this.#doors;
    const { id } = this.#analyzer;
    const isNew = !packet.tried.includes(id);
    if (isNew) packet.tried.push(id);
    const isLast = !registry.hasOther(this.#analyzer);
    const step = nextStep(outcome, packet, { policy, random, isNew, isLast, isAlone });
    if (step.kind === "give_up") {
      this.#bury(packet, { reason: step.reason, detail: outcome.detail });
    } else {
      packet.attempts = step.attempts;
      if (outcome.kind === "rejected" && isNew) packet.rejections++;
      queue.retry(packet, step.delayMs);
    }
    this.#done(1);
  }

  #bury(packet: Packet, why: { reason: DeadReason; detail: string }): void {
    const verdict = { ...why, analyzer: this.#analyzer.id };
    this.#doors.queue.bury(packet, verdict);
    this.#doors.log.warn("packet dead-lettered", { packet_id: packet.id, ...verdict });
  }

  #done(packets: number): void {
    this.#analyzer.inFlight -= packets;
    this.#doors.registry.release(this.#analyzer, packets);
  }
}

/** Whether an answer may be due to one packet of a batch rather than to the moment. */
function mayBlameOne(outcome: FailedOutcome): boolean {
  if (outcome.kind === "rejected") return true;
  return outcome.status !== undefined && !isBusyStatus(outcome.status) && !outcome.retryAfterMs;
}
