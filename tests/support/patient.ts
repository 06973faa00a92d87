/** An analyzer's health under observation. */

import {
  DEFAULT_HEALTH,
  type Failure,
  Health,
  type HealthOptions,
  type HealthState,
} from "../../src/health.ts";
import type { FailureClass } from "../../src/outcome.ts";

/** An analyzer's health with a clock of its own; every event comes at the present moment. */
export class Patient {
  nowMs = 1000;
  readonly health: Health;
  #packets = 0;

  constructor(options: Partial<HealthOptions> = {}, random = () => 0) {
    this.health = new Health({ ...DEFAULT_HEALTH, ...options }, { random, nowMs: this.nowMs });
  }

  get state(): HealthState {
    return this.health.state;
  }

  /** Seconds until the present ejection could end by time alone. */
  get sentenceSeconds(): number {
    return (this.health.ejectedUntilMs - this.nowMs) / 1000;
  }

  /** Successful attempts that began now, or when told. */
  succeed(times = 1, startedMs = this.nowMs): this {
    while (times-- > 0) this.health.succeed(startedMs, this.nowMs);
    return this;
  }

  /** Failed attempts that began now, each on a packet of its own. */
  fail(failureClass: FailureClass, times = 1, change: Partial<Failure> = {}): this {
    while (times-- > 0) {
      this.health.fail({
        class: failureClass,
        detail: "it did",
        packetId: `packet-${this.#packets++}`,
        gone: failureClass === "connect",
        startedMs: this.nowMs,
        suspectPacket: false,
        mayEject: true,
        ...change,
      }, this.nowMs);
    }
    return this;
  }

  probe(ok: boolean, times = 1): this {
    while (times-- > 0) {
      if (ok) this.health.probeSucceeded(this.nowMs);
      else this.health.probeFailed("HTTP 503", this.nowMs);
    }
    return this;
  }

  wait(seconds: number): this {
    this.nowMs += seconds * 1000;
    return this;
  }

  /** A probe a second, as while the state may be about to change. */
  probeFor(seconds: number, ok: boolean): this {
    while (seconds-- > 0) this.wait(1).probe(ok);
    return this;
  }

  /** From ejected to probation, the earliest way. */
  toProbation(): this {
    return this.wait(Math.max(0, this.sentenceSeconds)).probe(true, 2);
  }
}
