/**
 * Requests that are held back: for a time (latency, a slow body) or until they are let go (hang).
 *
 * Owned by the mock analyzer. A dying analyzer cuts them all, so that their clients see a closed
 * connection and no answer.
 */

import type { Clock } from "../src/clock.ts";

/** Why a hold ended: its time is over, it was let go, or the analyzer is gone. */
export type Ending = "elapsed" | "released" | "cut";

/** Beyond this many, the one that hangs longest is let go: its client has left long ago. */
const MAX_HANGING = 10_000;

export class Holds {
  readonly #clock: Clock;
  readonly #timed = new Set<(ending: Ending) => void>();
  readonly #hanging = new Set<(ending: Ending) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits `delayMs`, unless it is cut. */
  delay(delayMs: number): Promise<Ending> {
    return new Promise((resolve) => {
      const end = (ending: Ending) => {
        cancel();
        this.#timed.delete(end);
        resolve(ending);
      };
      const cancel = this.#clock.after(delayMs, () => end("elapsed"));
      this.#timed.add(end);
    });
  }

  /** Waits until it is released or cut. */
  hang(): Promise<Ending> {
    return new Promise((resolve) => {
      this.#hanging.add(resolve);
      if (this.#hanging.size <= MAX_HANGING) return;
      const [oldest] = this.#hanging;
      this.#hanging.delete(oldest!);
      oldest!("released");
    });
  }

  /** Lets go of all that hang. */
  release(): void {
    for (const end of this.#hanging) end("released");
    this.#hanging.clear();
  }

  /** Ends all holds at once. */
  cut(): void {
    for (const end of this.#hanging) end("cut");
    this.#hanging.clear();
    for (const end of [...this.#timed]) end("cut");
  }
}
