/**
 * A data folder looked into while no distributor runs on it. Changes nothing of what is there.
 *
 * SQLite wants a lock and shared memory to read a log, and tidies up when it closes. Its VFS
 * without locks reads the log all the same, and cannot write through a read-only file; that nobody
 * else has the folder, our own lock says. Choosing a VFS takes all permissions.
 */

import { DatabaseSync } from "node:sqlite";
import { exists, inUse, pathsIn, unusable } from "./data_folder.ts";
import { DeadRows } from "./dead_rows.ts";
import { type FileLock, tryLock } from "./file_lock.ts";
import { GroupRows, type LoadedGroup, type Totals } from "./group_rows.ts";
import { ask, type RowDoors } from "./spool_database.ts";
import { checkForm, hasTables } from "./spool_form.ts";
import { StorageError } from "./storage_error.ts";

/** Findings of an integrity check, at most. */
const MAX_FINDINGS = 100;

export class OfflineSpool {
  /** Not settled. */
  readonly found: Totals;
  readonly dead: DeadRows;
  readonly #database: DatabaseSync;
  readonly #groups: GroupRows;
  readonly #lock: FileLock | undefined;
  readonly #made: readonly string[];

  /** @throws {StorageError} `locked` while a distributor runs on it, `unusable` if it has no spool */
  constructor(folder: string) {
    this.#lock = takeLock(folder);
    let opened: Opened | undefined;
    try {
      opened = openReadOnly(folder);
      const { database, made } = opened;
      // The first start was cut short, before it could accept anything.
      if (!hasTables(database)) throw closedTo(folder, new Error("nothing was ever kept in it"));
      checkForm(database);
      const doors = readOnlyDoors(database);
      this.#database = database;
      this.#made = made;
      this.#groups = new GroupRows(doors);
      this.found = this.#groups.open();
      this.dead = new DeadRows(doors, { revive: () => refuse(), committed: () => {} });
    } catch (error) {
      if (opened) closeUntouched(opened.database);
      removeAll(opened?.made ?? []);
      this.#lock?.close();
      throw unusable(folder, error);
    }
  }

  /** All groups, oldest first, one at a time. */
  *groups(): Generator<LoadedGroup> {
    let group = this.#groups.read(0);
    for (; group; group = this.#groups.read(group.group)) yield group;
  }

  /** What SQLite finds wrong with the file, one line each. */
  integrity(): string[] {
    const rows = this.#database.prepare(`PRAGMA integrity_check(${MAX_FINDINGS})`).all();
    return rows.map((row) => String(Object.values(row)[0])).filter((line) => line !== "ok");
  }

  close(): void {
    closeUntouched(this.#database);
    removeAll(this.#made);
    this.#lock?.close();
  }
}

/** Shared with other offline looks; none where no distributor has ever run. */
function takeLock(folder: string): FileLock | undefined {
  const { lock, database } = pathsIn(folder);
  try {
    if (!exists(database)) throw new Error("there is no spool in it");
    if (!exists(lock)) return undefined;
    const taken = tryLock(lock, { exclusive: false });
    if (taken) return taken;
  } catch (error) {
    throw closedTo(folder, error as Error);
  }
  throw inUse(folder);
}

/** A folder that cannot be looked into, and why. */
function closedTo(folder: string, cause: Error): StorageError {
  const detail = `Cannot look into data folder ${JSON.stringify(folder)}: ${cause.message}`;
  return new StorageError("unusable", detail, { cause });
}

interface Opened {
  readonly database: DatabaseSync;
  /** Files that SQLite has made beside. */
  readonly made: readonly string[];
}

function openReadOnly(folder: string): Opened {
  const { database, wal } = pathsIn(folder);
  const url = new URL("file:");
  url.pathname = Deno.realPathSync(database);
  const hasLog = exists(wal) && Deno.statSync(wal).size > 0;
  // Without a log to read there must none be made either.
  url.search = hasLog ? "?mode=ro&vfs=unix-none" : "?mode=ro&immutable=1";
  try {
    const opened = new DatabaseSync(url.href, { readOnly: true });
    if (hasLog) ask(opened, "locking_mode = EXCLUSIVE");
    return { database: opened, made: [] };
  } catch (error) {
    // What Deno makes of a URL unless all is permitted: the name of a file.
    if (!/unable to open|requires .* access/i.test((error as Error).message)) throw error;
  }
  const made = [wal, `${database}-shm`].filter((path) => !exists(path));
  return { database: new DatabaseSync(database, { readOnly: true }), made };
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      Deno.removeSync(path);
    } catch {
      // It is empty of packets, and the next start takes no notice of it.
    }
  }
}

/**
 * Closing writes the log back, which fails on a read-only file and leaves all as it is. A log
 * without a single transaction has nothing to write, and SQLite would delete it: then the
 * connection ends with the process.
 */
const leftOpen: DatabaseSync[] = [];

function closeUntouched(database: DatabaseSync): void {
  try {
    const row = database.prepare("PRAGMA wal_checkpoint(NOOP)").get();
    if (row?.["log"] === 0) return void leftOpen.push(database);
  } catch {
    // Too damaged to say; then closing has nothing it could write back either.
  }
  database.close();
}

function readOnlyDoors(database: DatabaseSync): RowDoors {
  return {
    prepare: (sql) => database.prepare(sql),
    read: (ask) => ask(),
    change: refuse,
    checkpointIfDue: refuse,
  };
}

function refuse(): never {
  throw new Error("Cannot write to a spool that is only looked into");
}
