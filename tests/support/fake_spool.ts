/**
 * A spool in memory, whose disk does what a test says: it fills, it fails, it takes its time.
 *
 * Stricter than the real one: what is settled twice, or was never there, throws.
 */

import { type Packet, packetBytes, type PacketRef } from "../../src/packet.ts";
import type { Selection } from "../../src/queue/dead_letter.ts";
import type { SpoolPart } from "../../src/queue/disk.ts";
import type { Count } from "../../src/queue/ledger.ts";
import {
  type DeadLetterData,
  type DeadRow,
  StorageError,
  type StoredPacket,
} from "../../src/queue/spool.ts";

type Group = Map<number, StoredPacket>;

export class FakeSpool implements SpoolPart {
  readonly groups = new Map<number, Group>();
  readonly letters = new Set<DeadLetterData>();
  commits = 0;
  /** It would refuse what comes next. */
  isNearlyFull = false;
  /** What the disk answers to arrivals, or to everything. */
  trouble: "none" | "full" | "failed" = "none";
  isClosed = false;
  /** Groups that a read finds to be corrupt. */
  readonly corrupt = new Set<number>();
  arrivalsMaxBytes = 1e9;
  #lastGroup = 0;
  #lastKey = 0;
  #syncs: PromiseWithResolvers<void>[] = [];
  readonly #isSyncHeld: boolean;

  /** @param options `holdSync`: a sync ends only with `endSync` */
  constructor(options: { holdSync?: boolean; from?: FakeSpool } = {}) {
    this.#isSyncHeld = options.holdSync ?? false;
    if (!options.from) return;
    for (const [id, group] of options.from.groups) this.groups.set(id, new Map(group));
    for (const letter of options.from.letters) this.letters.add(letter);
    this.#lastGroup = options.from.#lastGroup;
  }

  get found(): Count {
    return countStored([...this.groups.values()].flatMap((group) => [...group.values()]));
  }

  hasRoom(): boolean {
    return !this.isNearlyFull;
  }

  commit(
    change: {
      arrivals: readonly Packet[];
      settled: readonly PacketRef[];
      dead: readonly DeadRow[];
    },
  ): number {
    if (this.isClosed) throw new Error("Cannot commit: the spool is closed");
    if (this.trouble === "failed") throw new StorageError("failed", "I/O error");
    this.commits++;
    for (const ref of change.settled) this.#settle(ref);
    for (const row of change.dead) this.#bury(row);
    if (this.trouble === "full" && change.arrivals.length > 0) {
      throw new StorageError("full", "The disk is full", { settled: true, buried: true });
    }
    return change.arrivals.length === 0 ? 0 : this.#add(change.arrivals.map(toRecord));
  }

  sync(): Promise<void> {
    if (this.trouble === "failed") return Promise.reject(new StorageError("failed", "I/O error"));
    if (!this.#isSyncHeld) return Promise.resolve();
    const sync = Promise.withResolvers<void>();
    this.#syncs.push(sync);
    return sync.promise;
  }

  /** Ends the syncs under way. */
  endSync(error?: Error): void {
    for (const sync of this.#syncs.splice(0)) error ? sync.reject(error) : sync.resolve();
  }

  load({ afterGroup, maxBytes }: { afterGroup: number; maxBytes: number }) {
    const read: { group: number; packets: StoredPacket[]; lost?: Count }[] = [];
    let bytes = 0;
    for (const [group, packets] of this.groups) {
      if (group <= afterGroup) continue;
      if (read.length > 0 && bytes >= maxBytes) break;
      const list = [...packets.values()];
      bytes += countStored(list).bytes;
      if (this.corrupt.has(group)) read.push({ group, packets: [], lost: countStored(list) });
      else read.push({ group, packets: list });
    }
    return read;
  }

  readonly dead = {
    totals: () => countLetters([...this.letters]),
    list: ({ offset, limit }: { offset: number; limit: number }) =>
      [...this.letters].slice(offset, offset + limit),
    get: (id: string) => [...this.letters].find(({ packetId }) => packetId === id),
    replayParts: (selection: Selection) =>
      this.#inParts(selection, (letter) => void this.#add([recordOf(letter)])),
    deleteParts: (selection: Selection) => this.#inParts(selection, () => {}),
  };

  close(): void {
    this.isClosed = true;
  }

  /** One at a step. */
  *#inParts({ ids, reason }: Selection, write: (letter: DeadLetterData) => void) {
    const chosen = [...this.letters].filter((letter) =>
      (!ids || ids.includes(letter.packetId)) && (!reason || letter.reason === reason)
    );
    for (const letter of chosen) {
      if (!this.letters.delete(letter)) continue;
      write(letter);
      yield countLetters([letter]);
    }
    for (const id of new Set(ids)) {
      if (!chosen.some(({ packetId }) => packetId === id)) {
        yield { ...countLetters([]), missing: id };
      }
    }
  }

  #add(records: readonly Omit<StoredPacket, keyof PacketRef>[]): number {
    const group = ++this.#lastGroup;
    const stored = records.map((record, index) => ({ ...record, group, index }));
    this.groups.set(group, new Map(stored.map((packet) => [packet.index, packet])));
    return group;
  }

  #settle({ group, index }: PacketRef): StoredPacket {
    const packets = this.groups.get(group);
    const stored = packets?.get(index);
    if (!packets || !stored) throw new Error(`Cannot settle ${group}/${index}: it is not there`);
    packets.delete(index);
    if (packets.size === 0) this.groups.delete(group);
    return stored;
  }

  #bury({ ref, packet, verdict, since, attempts }: DeadRow): void {
    this.#settle(ref);
    const { messages, bytes, multiline } = packet;
    this.letters.add({
      ...verdict,
      key: ++this.#lastKey,
      packetId: packet.id,
      since,
      attempts,
      messages,
      bytes,
      multiline,
      data: packetBytes(packet),
    });
  }
}

function toRecord(packet: Packet): Omit<StoredPacket, keyof PacketRef> {
  const { id, messages, multiline } = packet;
  return { id, messages, multiline, bytes: packetBytes(packet), acceptedWallMs: 0 };
}

function recordOf(letter: DeadLetterData): Omit<StoredPacket, keyof PacketRef> {
  const { packetId: id, messages, multiline, data: bytes } = letter;
  return { id, messages, multiline, bytes, acceptedWallMs: 0 };
}

function countLetters(letters: readonly DeadLetterData[]): Count {
  return countStored(letters.map(recordOf));
}

function countStored(packets: readonly { messages: number; bytes: Uint8Array }[]): Count {
  return {
    packets: packets.length,
    messages: packets.reduce((sum, { messages }) => sum + messages, 0),
    bytes: packets.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
}
