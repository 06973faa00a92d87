/**
 * The way to one analyzer: packets that were drawn for it, and the attempts under way.
 *
 * Owned by the dispatch of `worker.ts`. An analyzer that offers batches gets what waits in few
 * large requests; any other gets one packet a request. Nothing waits here once it is withdrawn.
 */

import type { Analyzer } from "./analyzer.ts";
import type { Clock } from "./clock.ts";
import type { Delivery } from "./delivery.ts";
import type { Log } from "./log.ts";
import type { Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import type { MemoryQueue } from "./queue/memory.ts";
import type { Random } from "./random.ts";
import type { Registry } from "./registry.ts";
import { nextStep, type RetryPolicy } from "./retry.ts";

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
  readonly queue: MemoryQueue;
  readonly registry: Registry;
  readonly delivery: Delivery;
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

type Batch = [Packet, ...Packet[]];

/** Packets an analyzer may be drawn for before it is full. */
export function maxLoad(analyzer: Analyzer, limits: LaneLimits): number {
  if (analyzer.health.state === "probation") return 1;
  return analyzer.batches ? limits.maxBatchesInFlight * limits.maxBatchPackets : limits.maxInFlight;
}

export class Lane {
  readonly #analyzer: Analyzer;
  readonly #doors: LaneDoors;
  #waiting: Packet[] = [];
  #waitingBytes = 0;
  #requests = 0;
  /** A timer that starts requests is running. */
  #gathering = false;

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
    while (this.#mayStart()) {
      const batch = this.#takeBatch();
      this.#requests++;
      for (const packet of batch) this.#doors.queue.start(packet);
      this.#analyzer.inFlight += batch.length;
      void this.#run(batch);
    }
  }

  /**
   * Whether what waits goes out now. A further batch beside one that is under way must be worth a
   * request of its own; until then waiting costs nothing, since the answer comes first.
   */
  #mayStart(): boolean {
    const { maxInFlight, maxBatchesInFlight } = this.#doors.limits;
    if (this.#waiting.length === 0 || this.#doors.isStopped()) return false;
    if (!this.#analyzer.batches) return this.#requests < maxInFlight;
    const isWorthwhile = this.#waiting.length >= WORTHWHILE_PACKETS ||
      this.#waitingBytes >= WORTHWHILE_BYTES;
    if (isWorthwhile) return this.#requests < maxBatchesInFlight;
    return this.#requests === 0 && !this.#gathering;
  }

  /** What goes into the next request: the packets that wait, up to the limits, at least one. */
  #takeBatch(): Batch {
    const { maxBatchPackets, maxBatchBytes } = this.#doors.limits;
    const most = this.#analyzer.batches ? maxBatchPackets : 1;
    let bytes = this.#waiting[0]!.bytes;
    let count = 1;
    while (count < most && count < this.#waiting.length) {
      const more = this.#waiting[count]!.bytes;
      if (bytes + more > maxBatchBytes) break;
      bytes += more;
      count++;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count) as Batch;
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
    const startedMs = this.#doors.clock.monotonicMs();
    const outcome = await this.#doors.delivery.post(this.#analyzer.url, batch);
    if (outcome.kind === "delivered") return this.#settleDelivered(batch, outcome.latencyMs);
    // Cut off by the end of a drain: it stays in flight, where it counts as left.
    if (this.#doors.isStopped()) return;
    const undecided = batch.length > 1 && mayBlameOne(outcome);
    this.#doors.registry.failed(this.#analyzer, outcome, {
      packet: batch[0],
      startedMs,
      undecided,
    });
    if (undecided) {
      const middle = batch.length >> 1;
      await this.#attempt(batch.slice(0, middle) as Batch);
      await this.#attempt(batch.slice(middle) as Batch);
      return;
    }
    for (const packet of batch) this.#settleFailed(packet, outcome);
  }

  #settleDelivered(batch: Batch, latencyMs: number): void {
    const { queue, registry } = this.#doors;
    let messages = 0;
    for (const packet of batch) {
      messages += packet.messages;
      queue.deliver(packet);
    }
    this.#done(batch.length);
    registry.delivered(this.#analyzer, { packets: batch.length, messages, latencyMs });
  }

  #settleFailed(packet: Packet, outcome: Exclude<Outcome, { kind: "delivered" }>): void {
    const { queue, policy, random, log } = this.#doors;
    const step = nextStep(outcome, packet, { policy, random });
    if (step.kind === "retry") {
      packet.attempts = step.attempts;
      if (outcome.kind === "rejected") packet.rejections++;
      if (!packet.tried.includes(this.#analyzer.entry)) packet.tried.push(this.#analyzer.entry);
      queue.retry(packet, step.delayMs);
    } else {
      const analyzer = this.#analyzer.id;
      queue.bury(packet, { reason: step.reason, analyzer, detail: outcome.detail });
      log.warn("packet dead-lettered", {
        packet_id: packet.id,
        reason: step.reason,
        analyzer,
        detail: outcome.detail,
      });
    }
    this.#done(1);
  }

  #done(packets: number): void {
    this.#analyzer.inFlight -= packets;
    this.#doors.registry.release(this.#analyzer, packets);
  }
}

/** Whether an answer may be due to one packet of a batch rather than to the moment. */
function mayBlameOne(outcome: Exclude<Outcome, { kind: "delivered" }>): boolean {
  return outcome.kind === "rejected" || outcome.status === 500;
}
