/**
 * Room on the disk that is kept for the moment when there is none.
 *
 * A full disk refuses deletions too, as they must be written first. Freeing this file then gives
 * the room to settle what is delivered. While it is gone, no packet is let in: they would eat it.
 */

import type { Clock } from "../clock.ts";

const CHUNK_BYTES = 1 << 20;
/** Between two attempts to get it back. */
const RETRY_MS = 250;

export class Ballast {
  readonly #path: string;
  readonly #bytes: number;
  readonly #clock: Clock;
  #isThere = false;
  #triedAtMs = -Infinity;

  constructor(path: string, options: { bytes: number; clock: Clock }) {
    this.#path = path;
    this.#bytes = options.bytes;
    this.#clock = options.clock;
  }

  /** Whether it is there, after an attempt to make it if it is not and its time has come. */
  ensure(): boolean {
    if (this.#isThere) return true;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#triedAtMs < RETRY_MS) return false;
    this.#triedAtMs = nowMs;
    this.#isThere = this.#make();
    return this.#isThere;
  }

  /** Gives its room back; says whether there was any. */
  free(): boolean {
    const wasThere = this.#isThere;
    this.#isThere = false;
    this.#triedAtMs = this.#clock.monotonicMs();
    this.#remove();
    return wasThere;
  }

  #make(): boolean {
    try {
      using file = Deno.openSync(this.#path, { write: true, create: true });
      if (file.statSync().size === this.#bytes) return true;
      file.truncateSync(0);
      const zeros = new Uint8Array(Math.min(CHUNK_BYTES, this.#bytes));
      for (let at = 0; at < this.#bytes;) {
        at += file.writeSync(zeros.subarray(0, this.#bytes - at));
      }
      file.syncDataSync();
      return true;
    } catch {
      this.#remove();
      return false;
    }
  }

  #remove(): void {
    try {
      Deno.removeSync(this.#path);
    } catch {
      // Not there, which is what is wanted; or the disk is past help, which the database will say.
    }
  }
}
