/**
 * The spool beside a simple twin, under random commands: what one holds, the other holds.
 *
 * A crash is what `kill -9` leaves: database and log copied elsewhere without closing.
 */

import { assert, assertEquals } from "@std/assert";
import type { Packet } from "../../src/packet.ts";
import { packetBytes } from "../../src/packet.ts";
import { DEAD_REASONS, type DeadReason, type Selection } from "../../src/queue/dead_letter.ts";
import { type DeadRow, type PacketRef, type Spool, StorageError } from "../../src/queue/spool.ts";
import { type Random, seededRandom } from "../../src/random.ts";
import {
  deadRow,
  loadAll,
  makePacket,
  openSpool,
  takeParts,
  TempFolder,
} from "../support/spools.ts";

const COMMANDS = 1500;
const CRASH_EVERY = 25;
/** Small, so that it is full now and then. */
const MAX_BYTES = 2 << 20;

interface Kept {
  readonly ref: PacketRef;
  readonly packet: Packet;
}

interface Buried {
  readonly packet: Packet;
  readonly reason: DeadReason;
}

/** What must be there. */
class Twin {
  kept: Kept[] = [];
  dead: Buried[] = [];

  isSelected({ ids, reason }: Selection) {
    return (letter: Buried) =>
      (!ids || ids.includes(letter.packet.id)) && (!reason || letter.reason === reason);
  }
}

class Model {
  readonly twin = new Twin();
  readonly counts: Record<string, number> = {};
  readonly #random: Random;
  #folder = new TempFolder();
  #spool: Spool = openSpool(this.#folder.path, { maxBytes: MAX_BYTES });
  #nextId = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  step(): void {
    const commands: [number, string, () => void][] = [
      [50, "commit", () => this.#commit()],
      [10, "replay", () => this.#replay()],
      [6, "delete", () => this.#delete()],
      [3, "checkpoint", () => this.#spool.checkpoint()],
      [3, "reopen", () => this.#reopen()],
      [100 / CRASH_EVERY, "crash", () => this.#crash()],
      [5, "compare", () => this.compare()],
    ];
    let at = this.#random() * commands.reduce((sum, [weight]) => sum + weight, 0);
    const [, name, run] = commands.find(([weight]) => (at -= weight) < 0)!;
    this.#count(name);
    run();
  }

  compare(): void {
    const stored = loadAll(this.#spool, 1 + this.#below(500_000));
    const { kept, dead } = this.twin;
    const order = (a: { ref: PacketRef }, b: { ref: PacketRef }) =>
      a.ref.group - b.ref.group || a.ref.index - b.ref.index;
    kept.sort(order);
    assertEquals(
      stored.map(({ group, index, id }) => [group, index, id]),
      kept.map(({ ref, packet }) => [ref.group, ref.index, packet.id]),
    );
    stored.forEach(({ bytes }, i) => assertEquals(bytes, packetBytes(kept[i]!.packet)));
    const letters = this.#spool.dead.list({ offset: 0, limit: 1e6 });
    assertEquals(
      letters.map(({ packetId, reason }) => [packetId, reason]),
      dead.map(({ packet, reason }) => [packet.id, reason]),
    );
    assertEquals(this.#spool.dead.totals(), {
      packets: dead.length,
      messages: dead.reduce((sum, { packet }) => sum + packet.messages, 0),
      bytes: dead.reduce((sum, { packet }) => sum + packet.bytes, 0),
    });
    for (const { packet } of dead.slice(0, 3)) {
      assertEquals(this.#spool.dead.get(packet.id)?.data, packetBytes(packet));
    }
  }

  close(): void {
    this.#spool.close();
    this.#folder[Symbol.dispose]();
  }

  #commit(): void {
    const arrivals = this.#makeArrivals();
    const settled = this.#pick(0.5);
    const buried = this.#pick(0.2).filter((one) => !settled.includes(one)).slice(0, 5);
    const rows = buried.map(({ ref, packet }) =>
      deadRow(ref, packet, DEAD_REASONS[this.#below(DEAD_REASONS.length)])
    );
    try {
      const group = this.#spool.commit({
        arrivals,
        settled: settled.map(({ ref }) => ref),
        dead: rows,
      });
      arrivals.forEach((packet, index) => this.twin.kept.push({ ref: { group, index }, packet }));
      this.#leave(settled, rows);
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === "full")) throw error;
      this.#count("full");
      this.#leave(error.settled ? settled : [], error.buried ? rows : []);
    }
  }

  #leave(settled: readonly Kept[], rows: readonly DeadRow[]): void {
    const gone = new Set<PacketRef>([
      ...settled.map(({ ref }) => ref),
      ...rows.map(({ ref }) => ref),
    ]);
    this.twin.kept = this.twin.kept.filter(({ ref }) => !gone.has(ref));
    for (const { packet, verdict } of rows) this.twin.dead.push({ packet, reason: verdict.reason });
  }

  #makeArrivals(): Packet[] {
    const bytes = this.#random() < 0.25 ? 50_000 : 100;
    return Array.from(
      { length: this.#below(12) },
      () =>
        makePacket(`p${this.#nextId++}`, {
          bytes: bytes + this.#below(bytes),
          messages: this.#below(9),
        }),
    );
  }

  #pick(part: number): Kept[] {
    if (this.#random() < 0.3) return [];
    return this.twin.kept.filter(() => this.#random() < part);
  }

  #select(): Selection {
    const { dead } = this.twin;
    const reason = DEAD_REASONS[this.#below(DEAD_REASONS.length)]!;
    const ids = dead.filter(() => this.#random() < 0.3).map(({ packet }) => packet.id);
    return [{}, { reason }, { ids }, { ids, reason }][this.#below(4)]!;
  }

  #replay(): void {
    const selection = this.#select();
    const { twin } = this;
    const before = this.#spool.lastGroup;
    const taken = twin.dead.filter(twin.isSelected(selection));
    assertEquals(takeParts(this.#spool.dead.replayParts(selection)), taken.length);
    twin.dead = twin.dead.filter((letter) => !taken.includes(letter));
    const byId = new Map(taken.map(({ packet }) => [packet.id, packet]));
    const found = this.#spool.load({ afterGroup: before, maxBytes: 1e9 });
    for (const { group, index, id } of found.flatMap(({ packets }) => packets)) {
      twin.kept.push({ ref: { group, index }, packet: byId.get(id)! });
      byId.delete(id);
    }
    assertEquals(byId.size, 0);
  }

  #delete(): void {
    const selection = this.#select();
    const isSelected = this.twin.isSelected(selection);
    const left = this.twin.dead.filter((letter) => !isSelected(letter));
    const deleted = takeParts(this.#spool.dead.deleteParts(selection));
    assertEquals(deleted, this.twin.dead.length - left.length);
    this.twin.dead = left;
  }

  #reopen(): void {
    this.#spool.close();
    this.#open();
  }

  #crash(): void {
    const folder = new TempFolder();
    this.#folder.copyTo(folder.path);
    this.#spool.close();
    this.#folder[Symbol.dispose]();
    this.#folder = folder;
    this.#open();
    this.compare();
  }

  #open(): void {
    this.#spool = openSpool(this.#folder.path, { maxBytes: MAX_BYTES });
    const { kept } = this.twin;
    assertEquals([this.#spool.setAside, this.#spool.found], [[], {
      packets: kept.length,
      messages: kept.reduce((sum, { packet }) => sum + packet.messages, 0),
      bytes: kept.reduce((sum, { packet }) => sum + packet.bytes, 0),
    }]);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

for (const seed of [1, 2, 3]) {
  Deno.test(`spool holds what its twin holds: ${COMMANDS} commands, seed ${seed}`, () => {
    const model = new Model(seed);
    try {
      for (let i = 0; i < COMMANDS; i++) model.step();
      model.compare();
    } finally {
      model.close();
    }
    console.log(`seed ${seed}: ${JSON.stringify(model.counts)}`);
    for (const name of ["commit", "full", "replay", "delete", "crash", "reopen", "checkpoint"]) {
      assert((model.counts[name] ?? 0) > 0, name);
    }
  });
}
