/** Which packets of a group are settled: one bit each, ended by a checksum when written. */

import { crc32 } from "node:zlib";

export class SettledBits {
  readonly #bits: Uint8Array<ArrayBuffer>;
  readonly packets: number;
  /** How many are not settled. */
  left: number;

  constructor(packets: number, bits = new Uint8Array((packets + 7) >> 3)) {
    this.packets = packets;
    this.#bits = bits;
    this.left = packets;
    for (let i = 0; i < packets; i++) if (this.has(i)) this.left--;
  }

  /** Reads what was written; undefined when it is damaged, and then all counts as not settled. */
  static read(
    packets: number,
    written: { group: number; crc: number; bits: Uint8Array },
  ): SettledBits | undefined {
    const { group, crc, bits } = written;
    const isSound = bits.length === (packets + 7) >> 3 && crc32(bits, group >>> 0) === crc;
    return isSound ? new SettledBits(packets, new Uint8Array(bits)) : undefined;
  }

  has(index: number): boolean {
    return (this.#bits[index >> 3]! >> (index & 7) & 1) === 1;
  }

  /** @throws {Error} when it is settled already, or not there: a bug of the caller */
  add(index: number): void {
    if (!(Number.isInteger(index) && index >= 0 && index < this.packets)) {
      throw new Error(`Cannot settle packet ${index}: its group has ${this.packets}`);
    }
    if (this.has(index)) throw new Error(`Cannot settle packet ${index}: it is settled`);
    this.#bits[index >> 3]! |= 1 << (index & 7);
    this.left--;
  }

  copy(): SettledBits {
    return new SettledBits(this.packets, this.#bits.slice());
  }

  /** What {@link SettledBits.read} takes. */
  write(group: number): { crc: number; bits: Uint8Array<ArrayBuffer> } {
    return { crc: crc32(this.#bits, group >>> 0), bits: this.#bits };
  }
}
