/**
 * The tables of a spool, and whether a database has them.
 *
 * A group is written once and never changed; what is settled of it stands beside it, as bits.
 */

import type { DatabaseSync } from "node:sqlite";
import { StorageError } from "./storage_error.ts";

/** Of 4 to 64 KiB the least work for groups of 16 to 64 packets, single ones hardly dearer. */
export const PAGE_BYTES = 16384;

/** Marks the file as ours ("wlad"), beside the format in `user_version`. */
const APPLICATION_ID = 0x776c6164;
export const FORMAT = 1;

const TABLES = [
  `CREATE TABLE groups (id INTEGER PRIMARY KEY, packets INTEGER NOT NULL,
    messages INTEGER NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL)`,
  `CREATE TABLE settled (group_id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bits BLOB NOT NULL)`,
  `CREATE TABLE dead (key INTEGER PRIMARY KEY, packet_id TEXT NOT NULL, reason TEXT NOT NULL,
    analyzer TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL, since TEXT NOT NULL,
    messages INTEGER NOT NULL, bytes INTEGER NOT NULL, multiline INTEGER NOT NULL,
    data BLOB NOT NULL)`,
  "CREATE INDEX dead_by_id ON dead (packet_id)",
  "CREATE INDEX dead_by_reason ON dead (reason, messages, bytes)",
  `CREATE TABLE analyzers (id TEXT PRIMARY KEY, url TEXT NOT NULL, weight REAL NOT NULL,
    paused INTEGER NOT NULL) WITHOUT ROWID`,
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
];

/** Whether anything was ever made in a database. */
export function hasTables(database: DatabaseSync): boolean {
  return first(database, "SELECT count(*) FROM sqlite_schema") !== 0;
}

/** Makes the tables in a database that has none. */
export function createForm(database: DatabaseSync): void {
  if (hasTables(database)) return;
  database.prepare("BEGIN IMMEDIATE").run();
  for (const table of TABLES) database.prepare(table).run();
  database.prepare("INSERT INTO meta VALUES ('format', ?)").run(String(FORMAT));
  database.prepare(`PRAGMA application_id = ${APPLICATION_ID}`).run();
  database.prepare(`PRAGMA user_version = ${FORMAT}`).run();
  database.prepare("COMMIT").run();
}

/**
 * Checks that a database has the tables. The format stands there twice: a damaged one must not be
 * taken for a newer one, which would be refused at every start.
 *
 * @throws {StorageError} `unusable` for a newer format; an error of SQLite's kind for damage
 */
export function checkForm(database: DatabaseSync): void {
  const version = first(database, "PRAGMA user_version");
  const format = first(database, "SELECT value FROM meta WHERE key = 'format'");
  if (typeof version === "number" && version > FORMAT && format === String(version)) {
    throw new StorageError(
      "unusable",
      `Cannot read the spool: its format is ${version}, this program knows ${FORMAT}; ` +
        "use the version that wrote it, or choose another folder with --data-dir",
    );
  }
  const rows = database.prepare(
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
  )
    .all();
  const isOurs = version === FORMAT && format === String(FORMAT) &&
    first(database, "PRAGMA application_id") === APPLICATION_ID &&
    first(database, "PRAGMA page_size") === PAGE_BYTES &&
    rows.length === TABLES.length && rows.every(({ sql }, i) => sql === TABLES[i]);
  if (!isOurs) throw new FormError();
}

/** Looks like what SQLite throws for a malformed file: to the spool it is the same. */
class FormError extends Error {
  override readonly name = "FormError";
  readonly code = "ERR_SQLITE_ERROR";
  readonly errcode = 11;

  constructor() {
    super("it does not have the form of a spool");
  }
}

function first(database: DatabaseSync, sql: string): unknown {
  const row = database.prepare(sql).get();
  return row && Object.values(row)[0];
}
