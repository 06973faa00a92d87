/**
 * An analyzer's health: a pure state machine; `now` is an argument, in monotonic milliseconds.
 *
 *   healthy ──failures──▶ ejected ──answers again──▶ probation ──3 successes──▶ healthy
 *      ▲                     ▲                           │              (slow start)
 *      └── probes, attempts  └────────any failure────────┘
 *
 * Only an `Outcome` of an attempt or a probe's verdict moves it; time alone never readmits.
 */

import type { FailureClass } from "./outcome.ts";
import type { Random } from "./random.ts";

export interface HealthOptions {
  /** Failed probes in a row that eject. @default 3 */
  readonly fall: number;
  /** Good probes in a row that end an ejection. @default 2 */
  readonly rise: number;
  /** Connection-class failures in a row that eject. @default 3 */
  readonly connectFailures: number;
  /** 5xx-class failures in a row that eject, on at least {@link minPackets} packets. @default 5 */
  readonly serverFailures: number;
  /** @default 3 */
  readonly minPackets: number;
  /** First ejection; doubles with each further one. @default 5000 */
  readonly ejectionMs: number;
  /** @default 60000 */
  readonly maxEjectionMs: number;
  /** Share of an ejection added at random at most. @default 0.2 */
  readonly jitter: number;
  /** An analyzer that was gone and answers probes for this long is back before its time. @default 8000 */
  readonly provenMs: number;
  /** Successes that end probation. @default 3 */
  readonly probationSuccesses: number;
  /** Time from the first to the full weight after probation. @default 30000 */
  readonly slowStartMs: number;
  /** Share of its weight with which slow start begins. @default 0.1 */
  readonly slowStartFrom: number;
  /** Healthy time after which one earlier ejection is forgotten. @default 60000 */
  readonly forgetMs: number;
}

export const DEFAULT_HEALTH: HealthOptions = Object.freeze({
  fall: 3,
  rise: 2,
  connectFailures: 3,
  serverFailures: 5,
  minPackets: 3,
  ejectionMs: 5000,
  maxEjectionMs: 60_000,
  jitter: 0.2,
  provenMs: 8000,
  probationSuccesses: 3,
  slowStartMs: 30_000,
  slowStartFrom: 0.1,
  forgetMs: 60_000,
});

export type HealthState = "healthy" | "ejected" | "probation";

/** A change of state, for logs and metrics. */
export interface Transition {
  readonly from: HealthState;
  readonly to: HealthState;
  readonly reason: string;
}

/** A failed attempt, as health sees it. */
export interface Failure {
  readonly class: FailureClass;
  /** What happened, in words. */
  readonly detail: string;
  readonly packetId: string;
  /** Whether it could not be reached, at the start or in the end. */
  readonly gone: boolean;
  /** When the attempt began: what began before the present state says nothing about it. */
  readonly startedMs: number;
  /** The packet failed elsewhere too, so it may be at fault itself. */
  readonly suspectPacket: boolean;
  /** Whether 5xx-class failures may eject now; others may be out already. */
  readonly mayEject: boolean;
}

/** Whether it has answered at all. */
function isAnswer(failure: Failure): boolean {
  return failure.class === "http_5xx" || failure.class === "http_4xx";
}

/** The health of one analyzer. */
export class Health {
  readonly #options: HealthOptions;
  readonly #random: Random;
  #state: HealthState = "healthy";
  #sinceMs: number;
  #reason = "registered";
  /** Ejections not yet forgotten. */
  #ejections = 0;
  #ejectedUntilMs = 0;
  #forgetAtMs = Infinity;
  #rampFromMs = -Infinity;
  #goodProbes = 0;
  #badProbes = 0;
  /** It could not be reached at its ejection or since. */
  #wasGone = false;
  /** Why it is out: its answers, rather than that it could not be reached. */
  #ejectedForAnswers = false;
  /** First good probe since it was gone; NaN while it is, or has not been. */
  #backSinceMs = NaN;
  /** An attempt has failed in this probation, so health checks alone do not end it. */
  #failedOnTrial = false;
  #successes = 0;
  #connectFailures = 0;
  #serverFailures = 0;
  readonly #failedPackets = new Set<string>();

  constructor(options: HealthOptions, handed: { random: Random; nowMs: number }) {
    this.#options = options;
    this.#random = handed.random;
    this.#sinceMs = handed.nowMs;
  }

  get state(): HealthState {
    return this.#state;
  }

  /** When the present state began. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Why the present state began. */
  get reason(): string {
    return this.#reason;
  }

  /** Whether a probe is due sooner than usual: the state may be about to change. */
  get inTransition(): boolean {
    return this.#state !== "healthy" || this.#badProbes > 0;
  }

  /** Whether it is out for its answers, rather than because it could not be reached. */
  get isEjectedForAnswers(): boolean {
    return this.#state === "ejected" && this.#ejectedForAnswers;
  }

  /** Earliest end of the present ejection by time alone. */
  get ejectedUntilMs(): number {
    return this.#ejectedUntilMs;
  }

  /** The part of its weight that counts now: 0 while ejected, rising during slow start, else 1. */
  weightFactor(nowMs: number): number {
    if (this.#state === "ejected") return 0;
    if (!this.isRamping(nowMs)) return 1;
    const { slowStartMs, slowStartFrom } = this.#options;
    const progress = (nowMs - this.#rampFromMs) / slowStartMs;
    return slowStartFrom + (1 - slowStartFrom) * progress;
  }

  /** Whether slow start is under way. */
  isRamping(nowMs: number): boolean {
    return this.#state === "healthy" && nowMs - this.#rampFromMs < this.#options.slowStartMs;
  }

  /** An attempt succeeded. One that began before the present state proves nothing in it. */
  succeed(startedMs: number, nowMs: number): Transition | undefined {
    if (startedMs < this.#sinceMs) return undefined;
    this.#clearFailures();
    this.#wasGone = false;
    if (this.#state === "probation") return this.#proveOnce(nowMs);
    this.#forget(nowMs);
    return undefined;
  }

  /** An attempt failed. */
  fail(failure: Failure, nowMs: number): Transition | undefined {
    if (failure.gone) this.#wasGone = true;
    if (this.#state === "ejected" || failure.startedMs < this.#sinceMs) return undefined;
    // What fails elsewhere too, after it has arrived there, may be the packet's doing.
    const excused = failure.suspectPacket && failure.class !== "connect";
    if (this.#state === "probation") return excused ? undefined : this.#failTrial(failure, nowMs);
    if (!isAnswer(failure)) {
      return excused ? undefined : this.#failConnection(failure, nowMs);
    }
    this.#connectFailures = 0;
    return excused ? undefined : this.#failServer(failure, nowMs);
  }

  /** A probe got a 2xx in time. */
  probeSucceeded(nowMs: number): Transition | undefined {
    if (Number.isNaN(this.#backSinceMs) && this.#wasGone) this.#backSinceMs = nowMs;
    this.#badProbes = 0;
    this.#goodProbes++;
    if (this.#state === "probation") {
      return this.#failedOnTrial ? undefined : this.#proveOnce(nowMs);
    }
    if (this.#state === "healthy") {
      this.#wasGone = false;
      this.#forget(nowMs);
    }
    if (this.#state !== "ejected" || this.#goodProbes < this.#options.rise) return undefined;
    const proven = nowMs - this.#backSinceMs >= this.#options.provenMs;
    if (nowMs < this.#ejectedUntilMs && !proven) return undefined;
    this.#successes = 0;
    this.#failedOnTrial = false;
    this.#wasGone = false;
    return this.#move("probation", "answers its health check again", nowMs);
  }

  /** A probe failed. */
  probeFailed(detail: string, nowMs: number): Transition | undefined {
    this.#goodProbes = 0;
    this.#badProbes++;
    this.#wasGone = true;
    this.#backSinceMs = NaN;
    if (this.#state === "ejected") return undefined;
    const limit = this.#state === "probation" ? 1 : this.#options.fall;
    if (this.#badProbes < limit) return undefined;
    return this.#eject(`health check failed: ${detail}`, { nowMs, forAnswers: false });
  }

  #failTrial(failure: Failure, nowMs: number): Transition | undefined {
    this.#successes = 0;
    this.#failedOnTrial = true;
    const forAnswers = isAnswer(failure);
    if (forAnswers && !failure.mayEject) return undefined;
    return this.#eject(`failed on trial: ${failure.detail}`, { nowMs, forAnswers });
  }

  #failConnection(failure: Failure, nowMs: number): Transition | undefined {
    this.#connectFailures++;
    if (this.#connectFailures < this.#options.connectFailures) return undefined;
    const reason = `${this.#connectFailures} failures in a row, the last: ${failure.detail}`;
    return this.#eject(reason, { nowMs, forAnswers: false });
  }

  #failServer(failure: Failure, nowMs: number): Transition | undefined {
    this.#serverFailures++;
    if (this.#failedPackets.size < this.#options.minPackets) {
      this.#failedPackets.add(failure.packetId);
    }
    const enough = this.#serverFailures >= this.#options.serverFailures &&
      this.#failedPackets.size >= this.#options.minPackets;
    if (!enough || !failure.mayEject) return undefined;
    const reason = `${this.#serverFailures} failures in a row, the last: ${failure.detail}`;
    return this.#eject(reason, { nowMs, forAnswers: true });
  }

  #proveOnce(nowMs: number): Transition | undefined {
    if (++this.#successes < this.#options.probationSuccesses) return undefined;
    this.#rampFromMs = nowMs;
    this.#forgetAtMs = nowMs + this.#options.forgetMs;
    return this.#move("healthy", "passed probation", nowMs);
  }

  #eject(
    reason: string,
    { nowMs, forAnswers }: { nowMs: number; forAnswers: boolean },
  ): Transition {
    const { ejectionMs, maxEjectionMs, jitter } = this.#options;
    const baseMs = Math.min(ejectionMs * 2 ** this.#ejections, maxEjectionMs);
    this.#ejectedUntilMs = nowMs + baseMs * (1 + jitter * this.#random());
    this.#ejections++;
    this.#forgetAtMs = Infinity;
    this.#goodProbes = 0;
    this.#backSinceMs = NaN;
    this.#ejectedForAnswers = forAnswers;
    this.#clearFailures();
    return this.#move("ejected", reason, nowMs);
  }

  #forget(nowMs: number): void {
    while (this.#ejections > 0 && nowMs >= this.#forgetAtMs) {
      this.#ejections--;
      this.#forgetAtMs += this.#options.forgetMs;
    }
  }

  #clearFailures(): void {
    this.#connectFailures = 0;
    this.#serverFailures = 0;
    this.#failedPackets.clear();
  }

  #move(to: HealthState, reason: string, nowMs: number): Transition {
    const from = this.#state;
    this.#state = to;
    this.#sinceMs = nowMs;
    this.#reason = reason;
    return { from, to, reason };
  }
}
