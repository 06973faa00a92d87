/**
 * One run: takes packets when they are due and a place is free, posts them, counts what comes back.
 *
 * Open loop without a queue: what is due and not yet sent is a difference of two counters. Latency
 * runs from the intended time, so that a server that stalls cannot hide it (no coordinated
 * omission).
 */

import { type Clock, sleep } from "../src/clock.ts";
import { type Packet, type PacketFactory } from "./packets.ts";
import { Pacer, type Schedule } from "./pacer.ts";
import { Tally } from "./report.ts";
import { type Answer, HttpError } from "../src/http_error.ts";
import type { Sender } from "./sender.ts";

const LATE_MS = 10;
const DEFAULT_RETRY_AFTER_MS = 1000;
const INTERRUPT_GRACE_MS = 2000;

export interface RunOptions {
  readonly schedule: Schedule;
  readonly packets: PacketFactory;
  readonly sender: Sender;
  readonly clock: Clock;
  /** Requests under way at most; a refused packet that waits to be resent counts too. */
  readonly concurrency: number;
  readonly retry: boolean;
  /** When to give up packets that are due and not sent, since the start. */
  readonly giveUpMs: number;
}

/** Sends a schedule's packets. */
export class Run {
  readonly tally = new Tally();
  readonly #options: RunOptions;
  readonly #pacer: Pacer;
  readonly #interrupt = new AbortController();
  readonly #done = Promise.withResolvers<void>();
  #startMs = 0;
  #due = 0;
  #next = 0;
  #underWay = 0;
  #sending = true;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#pacer = new Pacer(options.schedule, {
      clock: options.clock,
      onDue: (count) => {
        this.#due = count;
        this.#pump();
      },
    });
  }

  /** Sends everything and waits for the answers. Called once. */
  async send(): Promise<Tally> {
    const { clock, giveUpMs, sender } = this.#options;
    this.#startMs = clock.monotonicMs();
    const cancel = giveUpMs === Infinity ? undefined : clock.after(giveUpMs, () => this.#stop());
    this.#pacer.start();
    await this.#done.promise;
    cancel?.();
    this.#pacer.stop();
    sender.close();
    this.tally.elapsedMs = this.#elapsedMs();
    return this.tally;
  }

  /** Stops sending; answers under way have two seconds left. */
  interrupt(): void {
    if (this.#interrupt.signal.aborted) return;
    this.tally.interrupted = true;
    this.#interrupt.abort();
    const { clock, sender } = this.#options;
    const cancel = clock.after(INTERRUPT_GRACE_MS, () => sender.close());
    this.#done.promise.then(cancel, cancel);
    this.#stop();
  }

  #stop(): void {
    this.#sending = false;
    this.#pacer.stop();
    this.tally.unsent = this.#due - this.#next;
    this.#finishIfIdle();
  }

  #pump(): void {
    const { concurrency } = this.#options;
    while (this.#sending && this.#next < this.#due && this.#underWay < concurrency) {
      this.#sendNext();
    }
  }

  #sendNext(): void {
    const { schedule, packets, clock } = this.#options;
    const { tally } = this;
    const dueAtMs = schedule.dueAtMs(this.#next++);
    const packet = packets.next(clock.wallMs());
    this.#underWay++;
    tally.sent++;
    tally.messagesSent += packet.messages;
    const nowMs = this.#elapsedMs();
    if (nowMs - dueAtMs > LATE_MS) tally.late++;
    // A packet's slot lasts until the next is due: n packets at rate r take n / r, not (n - 1) / r.
    tally.sendingMs = Math.max(schedule.dueAtMs(this.#next), nowMs);
    this.#deliver(packet, dueAtMs).then(() => {
      this.#underWay--;
      if (this.#next < this.#due) this.#pump();
      this.#finishIfIdle();
    });
  }

  async #deliver(packet: Packet, dueAtMs: number): Promise<void> {
    const { tally } = this;
    try {
      let answer = await this.#post(packet);
      while (isRefusal(answer) && await this.#waitToRetry(answer)) {
        tally.retried++;
        answer = await this.#post(packet);
      }
      if (answer.status === 202) {
        tally.accepted++;
        tally.messagesAccepted += packet.messages;
        tally.latency.record(this.#elapsedMs() - dueAtMs);
      } else if (isRefusal(answer)) tally.refused++;
      else tally.errors++;
    } catch (error) {
      if (!(error instanceof HttpError)) return this.#done.reject(error);
      tally.failed++;
      tally.byFault.set(error.fault, (tally.byFault.get(error.fault) ?? 0) + 1);
    }
  }

  async #post(packet: Packet): Promise<Answer> {
    const answer = await this.#options.sender.post(packet.body);
    const { byStatus } = this.tally;
    byStatus.set(answer.status, (byStatus.get(answer.status) ?? 0) + 1);
    return answer;
  }

  /** False when the packet is to stay refused. */
  async #waitToRetry({ retryAfterMs = DEFAULT_RETRY_AFTER_MS }: Answer): Promise<boolean> {
    const { retry, clock } = this.#options;
    const { signal } = this.#interrupt;
    if (retry) await sleep(retryAfterMs, clock, signal);
    return retry && !signal.aborted;
  }

  #finishIfIdle(): void {
    const allSent = this.#next === this.#options.schedule.total;
    if (this.#underWay === 0 && (allSent || !this.#sending)) this.#done.resolve();
  }

  #elapsedMs(): number {
    return this.#options.clock.monotonicMs() - this.#startMs;
  }
}

function isRefusal(answer: Answer): boolean {
  return answer.status === 503 || answer.status === 429;
}
