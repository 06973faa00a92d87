/**
 * Slow start as time passes: weights are renewed every second for as long as any analyzer is in it.
 *
 * Owned by the registry, which knows what to renew.
 */

import type { Analyzer } from "./analyzer.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { Log } from "./log.ts";

const TICK_MS = 1000;

export interface RampDoors {
  readonly analyzers: () => Iterable<Analyzer>;
  readonly renew: (analyzer: Analyzer) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export class Ramp {
  readonly #doors: RampDoors;
  /** Those that were in slow start when weights were last renewed. */
  readonly #ramping = new Set<Analyzer>();
  #cancel: Cancel | undefined;
  #isClosed = false;

  constructor(doors: RampDoors) {
    this.#doors = doors;
  }

  /** An analyzer may be in slow start from now on. */
  follow(): void {
    if (this.#cancel || this.#isClosed) return;
    this.#cancel = this.#doors.clock.after(TICK_MS, () => {
      this.#cancel = undefined;
      for (const analyzer of this.#doors.analyzers()) {
        this.#doors.renew(analyzer);
        this.#look(analyzer);
      }
      if (this.#ramping.size > 0) this.follow();
    });
  }

  /** An analyzer is no more. */
  forget(analyzer: Analyzer): void {
    this.#ramping.delete(analyzer);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  /** Says when slow start is over, not when it was cut short. */
  #look(analyzer: Analyzer): void {
    const { clock, log } = this.#doors;
    const { id, health, weight } = analyzer;
    if (health.isRamping(clock.monotonicMs())) this.#ramping.add(analyzer);
    else if (this.#ramping.delete(analyzer) && health.state === "healthy") {
      log.info("analyzer has its full weight again", { id, weight });
    }
  }
}
