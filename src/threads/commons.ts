/**
 * What all threads read and write at once: the bytes that each has taken, and two flags.
 *
 * Always true: the sum of what is taken stays within the capacity. Whoever takes adds first and
 * looks at the sum then, so of two that take the last bytes at once, at least one gives back.
 */

import type { Beside } from "../queue/memory.ts";

const OPEN = 0;
const FULL = 1;
const FLAGS_BYTES = 8;
/** The cell of the main thread; those of the others follow by their numbers. */
const MAIN = 0;

export class Commons {
  /** Handed to a thread, it makes the same commons there. */
  readonly buffer: SharedArrayBuffer;
  readonly capacityBytes: number;
  readonly #flags: Int32Array;
  readonly #takenBytes: BigInt64Array;

  constructor(buffer: SharedArrayBuffer, capacityBytes: number) {
    this.buffer = buffer;
    this.capacityBytes = capacityBytes;
    this.#flags = new Int32Array(buffer, 0, 2);
    this.#takenBytes = new BigInt64Array(buffer, FLAGS_BYTES);
  }

  /** Makes the commons of so many threads, the main one included; they are open. */
  static create(threads: number, capacityBytes: number): Commons {
    const buffer = new SharedArrayBuffer(FLAGS_BYTES + 8 * threads);
    const commons = new Commons(buffer, capacityBytes);
    Atomics.store(commons.#flags, OPEN, 1);
    return commons;
  }

  get threads(): number {
    return this.#takenBytes.length;
  }

  /** Whether packets are let in at all. */
  get isOpen(): boolean {
    return Atomics.load(this.#flags, OPEN) === 1;
  }

  /** From now on, no thread lets a packet in. */
  shut(): void {
    Atomics.store(this.#flags, OPEN, 0);
  }

  /** Whether the queue had no room when the main thread last told. */
  get isFull(): boolean {
    return Atomics.load(this.#flags, FULL) === 1;
  }

  tellFull(isFull: boolean): void {
    Atomics.store(this.#flags, FULL, isFull ? 1 : 0);
  }

  get freeBytes(): number {
    return this.capacityBytes - this.#sumFrom(MAIN);
  }

  /** Takes bytes for a thread, or says no because they are not there. */
  reserve(thread: number, bytes: number): boolean {
    Atomics.add(this.#takenBytes, thread, BigInt(bytes));
    if (this.freeBytes >= 0) return true;
    this.release(thread, bytes);
    return false;
  }

  /** Gives back, or leaves to the main thread, which has taken them over. */
  release(thread: number, bytes: number): void {
    Atomics.sub(this.#takenBytes, thread, BigInt(bytes));
  }

  /** Gives back all that a thread has taken which is no more. */
  reset(thread: number): void {
    Atomics.store(this.#takenBytes, thread, 0n);
  }

  /** What the queue, in the main thread, sees of the others. */
  beside(): Beside {
    const sumOfOthers = () => this.#sumFrom(MAIN + 1);
    return {
      get reservedBytes() {
        return sumOfOthers();
      },
      publish: (takenBytes) => void Atomics.store(this.#takenBytes, MAIN, BigInt(takenBytes)),
    };
  }

  #sumFrom(first: number): number {
    let sum = 0;
    for (let thread = first; thread < this.#takenBytes.length; thread++) {
      sum += Number(Atomics.load(this.#takenBytes, thread));
    }
    return sum;
  }
}
