/**
 * Lines to a stream that may not be read: a stopped terminal, a log shipper that hangs.
 *
 * Always true: nobody waits for a line, lines come in order and whole, and those that wait are
 * bounded; what was dropped for it is told once there is a reader again.
 */

import { type Clock, sleep } from "./clock.ts";

/** What may wait. */
const MAX_WAITING_BYTES = 1024 * 1024;

export interface LineWriterDoors {
  /** Writes some of the bytes, and resolves to how many. */
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => Promise<number>;
  /** The line that tells of so many that were dropped. */
  readonly describeDropped: (lines: number) => string;
  readonly clock: Clock;
}

export class LineWriter {
  readonly #doors: LineWriterDoors;
  readonly #encoder = new TextEncoder();
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #running: Promise<void> | undefined;

  constructor(doors: LineWriterDoors) {
    this.#doors = doors;
  }

  /** Takes a line without its line break. */
  write(line: string): void {
    const bytes = this.#encoder.encode(`${line}\n`);
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#running ??= this.#run();
  }

  /** Resolves once all is written, at the latest after `timeoutMs`. */
  async end(timeoutMs: number): Promise<void> {
    if (!this.#running) return;
    const done = new AbortController();
    await Promise.race([this.#running, sleep(timeoutMs, this.#doors.clock, done.signal)]);
    done.abort();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      for (const line of lines) {
        await this.#writeOut(line);
        this.#waitingBytes -= line.length;
      }
      if (this.#waiting.length === 0) this.#tellDropped();
    }
    this.#running = undefined;
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    const line = this.#doors.describeDropped(this.#dropped);
    this.#dropped = 0;
    this.write(line);
  }

  async #writeOut(line: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      for (let rest = line; rest.length > 0;) {
        rest = rest.subarray(await this.#doors.write(rest));
      }
    } catch {
      // A reader that has gone away must not take the service down.
    }
  }
}
