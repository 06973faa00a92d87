/**
 * Dead letters in the database: listed without their bytes, replayed and deleted piece by piece.
 *
 * A replay moves them into new groups at the end of the spool, in transactions of bounded size, so
 * that it takes neither memory nor room for all at once.
 */

import type { StatementSync } from "node:sqlite";
import { type Packet, packetBytes, type PacketRef } from "../packet.ts";
import type { DeadLetterInfo, DeadReason, Selection, Verdict } from "./dead_letter.ts";
import type { Totals } from "./group_rows.ts";
import type { RowDoors } from "./spool_database.ts";

export interface DeadRow {
  readonly ref: PacketRef;
  readonly packet: Packet;
  readonly verdict: Verdict;
  /** RFC 3339. */
  readonly since: string;
  /** Failed attempts, all told. */
  readonly attempts: number;
}

/** A dead letter as a row has it, but for its bytes. */
export interface DeadLetterRow extends DeadLetterInfo {
  /** Orders them; unique. */
  readonly key: number;
  readonly multiline: boolean;
}

/** A dead letter with its bytes. */
export interface DeadLetterData extends DeadLetterRow {
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Of one transaction of a replay or a deletion. */
const MAX_PART_ROWS = 256;
const MAX_PART_BYTES = 4 << 20;

const INFO =
  "key, packet_id, reason, analyzer, detail, attempts, since, messages, bytes, multiline";

export interface DeadRowsDoors {
  /** Takes dead letters back among the packets, inside a transaction. */
  readonly revive: (letters: readonly DeadLetterData[]) => () => void;
  /** Called after each commit; must not throw for want of room. */
  readonly committed: () => void;
}

/** What one step of an order has taken. */
export interface DeadPart extends Totals {
  /** An id under which there was nothing. */
  readonly missing?: string;
}

export class DeadRows {
  readonly #database: RowDoors;
  readonly #doors: DeadRowsDoors;
  readonly #totals: Totals;
  readonly #statements: Record<
    "insert" | "delete" | "byKey" | "byId" | "next" | "last",
    StatementSync
  >;

  constructor(
    database: RowDoors,
    doors: DeadRowsDoors,
  ) {
    this.#database = database;
    this.#doors = doors;
    this.#statements = {
      insert: database.prepare(
        `INSERT INTO dead (packet_id, reason, analyzer, detail, attempts, since, messages, bytes,
          multiline, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ),
      delete: database.prepare("DELETE FROM dead WHERE key = ?"),
      byKey: database.prepare(`SELECT ${INFO}, data FROM dead WHERE key = ?`),
      last: database.prepare("SELECT max(key) AS key FROM dead"),
      byId: database.prepare("SELECT key FROM dead WHERE packet_id = ? ORDER BY key"),
      next: database.prepare(
        `SELECT key FROM dead WHERE key > ? AND (?2 IS NULL OR reason = ?2) AND key <= ?3
          ORDER BY key LIMIT ${MAX_PART_ROWS}`,
      ),
    };
    this.#totals = this.#countAll();
  }

  /** How many there are. */
  totals(): Totals {
    return { ...this.#totals };
  }

  /** One page, oldest first. */
  list({ offset, limit }: { offset: number; limit: number }): DeadLetterRow[] {
    return this.#database.read(() =>
      this.#database.prepare(`SELECT ${INFO} FROM dead ORDER BY key LIMIT ? OFFSET ?`)
        .all(limit, offset).map(toInfo)
    );
  }

  /** The dead letter of a packet id, the oldest if there are several. */
  get(id: string): DeadLetterData | undefined {
    return this.#database.read(() => {
      const row = this.#statements.byId.get(id);
      return row && this.#byKey(row["key"] as number);
    });
  }

  /**
   * Queues what a selection names (all, if nothing) again: a transaction at each step, which yields
   * what that was, and which the caller syncs. Other work may come between; what becomes a dead
   * letter meanwhile is not taken.
   *
   * @throws {StorageError} at a step, `full` or `failed`; what came before is replayed
   */
  replayParts(selection: Selection): Generator<DeadPart> {
    return this.#takeEach(selection, (letters) => this.#doors.revive(letters));
  }

  /** Deletes what a selection names (all, if nothing) for good, step by step as {@link replayParts}. */
  deleteParts(selection: Selection): Generator<DeadPart> {
    return this.#takeEach(selection, () => () => {});
  }

  /** Writes dead letters, inside a transaction. */
  insert(rows: readonly DeadRow[]): void {
    for (const { packet, verdict, since, attempts } of rows) {
      const { reason, analyzer, detail } = verdict;
      this.#statements.insert.run(
        ...[packet.id, reason, analyzer, detail, attempts, since],
        ...[packet.messages, packet.bytes, Number(packet.multiline), packetBytes(packet)],
      );
    }
  }

  /** They are committed. */
  inserted(rows: readonly DeadRow[]): void {
    for (const { packet } of rows) addLetter(this.#totals, packet, 1);
  }

  /** All, oldest first, one at a time. */
  *all(): Generator<DeadLetterData> {
    for (const { keys } of this.#keysFrom({})) for (const key of keys) yield this.#byKey(key)!;
  }

  *#takeEach(
    selection: Selection,
    write: (letters: readonly DeadLetterData[]) => () => void,
  ): Generator<DeadPart> {
    for (const { id, keys } of this.#keysFrom(selection)) {
      let packets = 0;
      for (let at = 0; at < keys.length;) {
        const letters = this.#part(keys, at, selection.reason);
        at += letters.looked;
        this.#take(letters.found, write);
        const taken = zero();
        for (const letter of letters.found) addLetter(taken, letter, 1);
        packets += taken.packets;
        yield taken;
      }
      // A step for an id that is not there, too: an order may name very many.
      if (packets === 0 && id !== undefined) yield { ...zero(), missing: id };
    }
  }

  #take(
    letters: readonly DeadLetterData[],
    write: (letters: readonly DeadLetterData[]) => () => void,
  ): void {
    if (letters.length === 0) return;
    const committed = this.#database.change(() => {
      for (const { key } of letters) this.#statements.delete.run(key);
      return write(letters);
    }, { sync: false });
    committed();
    for (const letter of letters) addLetter(this.#totals, letter, -1);
    this.#doors.committed();
  }

  /** The letters of the keys from `at` on, as many as one transaction takes. */
  #part(keys: readonly number[], at: number, reason: DeadReason | undefined) {
    const found: DeadLetterData[] = [];
    let looked = 0;
    let bytes = 0;
    while (at + looked < keys.length && looked < MAX_PART_ROWS && bytes < MAX_PART_BYTES) {
      const letter = this.#database.read(() => this.#byKey(keys[at + looked]!));
      looked++;
      if (!letter || (reason !== undefined && letter.reason !== reason)) continue;
      found.push(letter);
      bytes += letter.bytes;
    }
    return { found, looked };
  }

  /** Keys of a selection, by ids, then oldest first. */
  *#keysFrom({ ids, reason }: Selection): Generator<{ id?: string; keys: number[] }> {
    if (ids) {
      for (const id of new Set(ids)) {
        const keys = this.#database.read(() => this.#statements.byId.all(id)).map(keyOf);
        yield { id, keys };
      }
      return;
    }
    const last = this.#database.read(() => this.#statements.last.get());
    const until = last?.["key"] as number | null ?? 0;
    let after = Number.MIN_SAFE_INTEGER;
    for (;;) {
      const rows = this.#database.read(() =>
        this.#statements.next.all(after, reason ?? null, until)
      );
      if (rows.length === 0) return;
      after = keyOf(rows.at(-1)!);
      yield { keys: rows.map(keyOf) };
    }
  }

  #byKey(key: number): DeadLetterData | undefined {
    const row = this.#statements.byKey.get(key);
    return row && { ...toInfo(row), data: row["data"] as Uint8Array<ArrayBuffer> };
  }

  #countAll(): Totals {
    return this.#database.prepare(
      `SELECT count(*) AS packets, coalesce(sum(messages), 0) AS messages,
        coalesce(sum(bytes), 0) AS bytes FROM dead`,
    ).get() as unknown as Totals;
  }
}

type Row = Record<string, unknown>;

function keyOf(row: Row): number {
  return row["key"] as number;
}

function toInfo(row: Row): DeadLetterRow {
  return {
    key: row["key"] as number,
    packetId: row["packet_id"] as string,
    reason: row["reason"] as DeadReason,
    analyzer: row["analyzer"] as string,
    detail: row["detail"] as string,
    attempts: row["attempts"] as number,
    since: row["since"] as string,
    messages: row["messages"] as number,
    bytes: row["bytes"] as number,
    multiline: row["multiline"] === 1,
  };
}

function zero(): Totals {
  return { packets: 0, messages: 0, bytes: 0 };
}

function addLetter(
  sum: Totals,
  { messages, bytes }: { messages: number; bytes: number },
  sign: 1 | -1,
): void {
  sum.packets += sign;
  sum.messages += sign * messages;
  sum.bytes += sign * bytes;
}
