/**
 * Groups of packets in the database, and what is settled of each.
 *
 * In memory is only what is partly settled, which is about what is in flight.
 */

import type { StatementSync } from "node:sqlite";
import type { PacketRef } from "../packet.ts";
import { checksum, readGroup, type TimedRecord } from "./packet_codec.ts";
import type { RowDoors } from "./spool_database.ts";
import { SettledBits } from "./settled_bits.ts";

export interface Totals {
  packets: number;
  messages: number;
  /** Of the packets as analyzers receive them. */
  bytes: number;
}

export interface StoredPacket extends PacketRef, TimedRecord {}

/** One group as it is read back. */
export interface LoadedGroup {
  readonly group: number;
  /** Those that are not settled. */
  readonly packets: StoredPacket[];
  /** What is lost of it because it was damaged. */
  readonly lost?: Totals;
  /** Its bytes if it is damaged. */
  readonly damaged?: Uint8Array;
}

/** A settlement that is worked out but not written yet. */
export type Settlement = ReadonlyMap<number, SettledBits>;

interface GroupRow {
  readonly id: number;
  readonly packets: number;
  readonly messages: number;
  readonly bytes: number;
  readonly crc: number;
  readonly data: Uint8Array;
}

export class GroupRows {
  #lastGroup = 0;
  readonly #database: RowDoors;
  readonly #partly = new Map<number, SettledBits>();
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #count: StatementSync;
  readonly #next: StatementSync;
  readonly #putBits: StatementSync;
  readonly #deleteBits: StatementSync;

  constructor(database: RowDoors) {
    this.#database = database;
    this.#insert = database.prepare("INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?)");
    this.#delete = database.prepare("DELETE FROM groups WHERE id = ?");
    this.#count = database.prepare("SELECT packets FROM groups WHERE id = ?");
    this.#next = database.prepare("SELECT * FROM groups WHERE id > ? ORDER BY id LIMIT 1");
    this.#putBits = database.prepare("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)");
    this.#deleteBits = database.prepare("DELETE FROM settled WHERE group_id = ?");
  }

  /** The highest number of a group so far. */
  get lastGroup(): number {
    return this.#lastGroup;
  }

  /** Reads what is there, at the start; returns what is not settled. */
  open(): Totals {
    const row = this.#database.prepare(
      `SELECT max(id) AS last, coalesce(sum(packets), 0) AS packets,
        coalesce(sum(messages), 0) AS messages, coalesce(sum(bytes), 0) AS bytes FROM groups`,
    ).get() as unknown as Totals & { last: number | null };
    this.#lastGroup = row.last ?? 0;
    const found = { packets: row.packets, messages: row.messages, bytes: row.bytes };
    const partly = this.#database.prepare(
      `SELECT group_id AS "group", settled.crc AS crc, bits, packets
        FROM settled JOIN groups ON id = group_id`,
    ).all() as unknown as { group: number; crc: number; bits: Uint8Array; packets: number }[];
    for (const row of partly) {
      const bits = SettledBits.read(row.packets, row);
      if (!bits) continue;
      this.#partly.set(row.group, bits);
      this.#subtractSettled(row.group, found);
    }
    return found;
  }

  /** Writes a group, inside a transaction; returns its number. */
  insert(blob: Uint8Array, totals: Totals): number {
    const id = this.#lastGroup + 1;
    const { packets, messages, bytes } = totals;
    this.#insert.run(id, packets, messages, bytes, checksum(blob, id), blob);
    return id;
  }

  /** The group is committed: its number is taken. */
  inserted(group: number): void {
    this.#lastGroup = Math.max(this.#lastGroup, group);
  }

  /**
   * Works out a settlement, without writing.
   *
   * @throws {Error} when a packet is settled already, or not there: a bug of the caller
   */
  plan(...refLists: readonly Iterable<PacketRef>[]): Settlement {
    const plan = new Map<number, SettledBits>();
    for (const refs of refLists) {
      for (const { group, index } of refs) {
        let bits = plan.get(group);
        if (!bits) plan.set(group, bits = this.#bitsOf(group));
        bits.add(index);
      }
    }
    return plan;
  }

  /** Writes a settlement, inside a transaction. */
  settle(settlement: Settlement): void {
    for (const [group, bits] of settlement) {
      if (bits.left === 0) {
        this.#delete.run(group);
        if (this.#partly.has(group)) this.#deleteBits.run(group);
      } else {
        const written = bits.write(group);
        this.#putBits.run(group, written.crc, written.bits);
      }
    }
  }

  /** The settlement is committed. */
  settled(settlement: Settlement): void {
    for (const [group, bits] of settlement) {
      if (bits.left === 0) this.#partly.delete(group);
      else this.#partly.set(group, bits);
    }
  }

  /** The next group behind another, in the order of acceptance. */
  read(afterGroup: number): LoadedGroup | undefined {
    const row = this.#next.get(afterGroup) as unknown as GroupRow | undefined;
    if (!row) return undefined;
    const { id: group, packets: count, messages, bytes } = row;
    const records = checksum(row.data, group) === row.crc ? readGroup(row.data, count) : undefined;
    const settled = this.#partly.get(group);
    if (!records) {
      const packets = settled?.left ?? count;
      return { group, packets: [], lost: { packets, messages, bytes }, damaged: row.data };
    }
    const packets: StoredPacket[] = [];
    records.forEach((record, index) => {
      if (!settled?.has(index)) packets.push({ group, index, ...record });
    });
    return { group, packets };
  }

  /** Removes a group whole, inside a transaction. */
  drop(group: number): void {
    this.#delete.run(group);
    this.#deleteBits.run(group);
    this.#partly.delete(group);
  }

  #bitsOf(group: number): SettledBits {
    const partly = this.#partly.get(group);
    if (partly) return partly.copy();
    const row = this.#count.get(group) as { packets: number } | undefined;
    if (!row) throw new Error(`Cannot settle a packet of group ${group}: there is no such group`);
    return new SettledBits(row.packets);
  }

  #subtractSettled(group: number, from: Totals): void {
    const whole = this.#next.get(group - 1) as unknown as GroupRow;
    const rest = this.read(group - 1)!;
    const left = totalsOf(rest.packets);
    if (rest.lost) {
      from.packets -= whole.packets - rest.lost.packets;
      return;
    }
    from.packets -= whole.packets - left.packets;
    from.messages -= whole.messages - left.messages;
    from.bytes -= whole.bytes - left.bytes;
  }
}

/** What packets come to. */
export function totalsOf(packets: Iterable<{ messages: number; bytes: number | Uint8Array }>) {
  const totals: Totals = { packets: 0, messages: 0, bytes: 0 };
  for (const { messages, bytes } of packets) {
    totals.packets++;
    totals.messages += messages;
    totals.bytes += typeof bytes === "number" ? bytes : bytes.length;
  }
  return totals;
}
