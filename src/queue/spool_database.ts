/**
 * One SQLite database: its form, its transactions, its write-ahead log.
 *
 * Knows no packet. Always true: what `change()` has returned from outlives the process, and is
 * synced if that was asked for, or once `sync()` has resolved; after a failure nothing is written
 * any more, as nobody knows what the disk still takes.
 *
 * `sync()` reaches the log over a descriptor of ours: it holds for as long as SQLite keeps the one
 * file that it has when we open it, as it does until the database is closed.
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { failpoint } from "../failpoint.ts";
import { checkForm, createForm, PAGE_BYTES } from "./spool_form.ts";
import { type DatabaseFault, faultOf, StorageError } from "./storage_error.ts";

/** A larger log makes larger, rarer checkpoints; it is overwritten in place, not grown. */
const MAX_WAL_BYTES = 16 << 20;

/** What rows need of a database, which may also be one that is only read. */
export type RowDoors = Pick<SpoolDatabase, "prepare" | "read" | "change" | "checkpointIfDue">;

export interface DatabaseOptions {
  readonly path: string;
  /** Pages in use, times their size, at most. */
  readonly maxBytes: number;
  /** Makes the names of the files durable. */
  readonly syncFolder: () => void;
  /** Called when damage is found. */
  readonly onDamage: () => void;
  /** Called when it cannot be opened for damage, before SQLite closes it, and tidies up. */
  readonly onUnreadable: () => void;
}

export class SpoolDatabase {
  /** Bytes the log may take before it is written back; one transaction may go beyond. */
  readonly maxWalBytes: number;
  commits = 0;
  checkpoints = 0;
  readonly #database: DatabaseSync;
  readonly #options: DatabaseOptions;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #logState: StatementSync;
  readonly #checkpoint: StatementSync;
  readonly #pageCount: StatementSync;
  readonly #freePages: StatementSync;
  readonly #syncLevels: Readonly<Record<"FULL" | "NORMAL", StatementSync>>;
  #syncLevel: "FULL" | "NORMAL" = "FULL";
  /** Undefined while the database is being opened. */
  readonly #wal: Deno.FsFile | undefined;
  readonly #maxPages: number;
  #failure: StorageError | undefined;
  #walBytes = 0;
  /** In pages; undefined when it must be asked for. */
  #used: number | undefined;

  /** @throws what the database says; {@link faultOf} tells what it means */
  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.maxWalBytes = Math.min(
      MAX_WAL_BYTES,
      Math.max(Math.floor(options.maxBytes / 8), PAGE_BYTES * 16),
    );
    const database = new DatabaseSync(options.path);
    this.#database = database;
    try {
      // Before anything is read: with this no shared memory file is ever made.
      for (const pragma of ["locking_mode = EXCLUSIVE", `page_size = ${PAGE_BYTES}`]) {
        ask(database, pragma);
      }
      ask(database, "journal_mode = WAL");
      ask(database, "synchronous = FULL");
      // Where a plain fsync leaves things in the drive, as on macOS; elsewhere they do nothing.
      ask(database, "fullfsync = 1");
      ask(database, "checkpoint_fullfsync = 1");
      ask(database, "wal_autocheckpoint = 0");
      ask(database, "busy_timeout = 0");
      ask(database, "cache_size = -8192");
      ask(database, `journal_size_limit = ${this.maxWalBytes}`);
      createForm(database);
      checkForm(database);
      const bytes = ask(database, "page_size") as number;
      const most = Math.max(64, Math.floor(options.maxBytes / bytes));
      this.#maxPages = ask(database, `max_page_count = ${most}`) as number;
      this.#begin = database.prepare("BEGIN IMMEDIATE");
      this.#commit = database.prepare("COMMIT");
      this.#rollback = database.prepare("ROLLBACK");
      this.#logState = database.prepare("PRAGMA wal_checkpoint(NOOP)");
      this.#checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      this.#pageCount = database.prepare("PRAGMA page_count");
      this.#freePages = database.prepare("PRAGMA freelist_count");
      this.#syncLevels = {
        FULL: database.prepare("PRAGMA synchronous = FULL"),
        NORMAL: database.prepare("PRAGMA synchronous = NORMAL"),
      };
      this.#wal = Deno.openSync(`${options.path}-wal`, { read: true, write: true, create: true });
      options.syncFolder();
      this.#readLog();
    } catch (error) {
      this.abandon(error);
      throw error;
    }
  }

  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /** Bytes of the pages in use. */
  get usedBytes(): number {
    this.#used ??= numberIn(this.#pageCount.get()) - numberIn(this.#freePages.get());
    return this.#used * PAGE_BYTES;
  }

  /** Bytes of pages that can be taken into use before the cap. */
  get freeBytes(): number {
    return this.#maxPages * PAGE_BYTES - this.usedBytes;
  }

  /** Bytes of the log that are in use. */
  get walBytes(): number {
    return this.#walBytes;
  }

  /**
   * Runs a transaction; when `write` throws, nothing of it remains.
   *
   * @param options `sync`: whether it is synced at once, which takes the thread that long, or by
   *   the next `sync()`. In WAL mode NORMAL differs from FULL in nothing but that
   *   (https://sqlite.org/pragma.html#pragma_synchronous). @default true
   * @throws {StorageError} `full` or `failed`
   */
  change<T>(write: () => T, { sync = true }: { sync?: boolean } = {}): T {
    if (this.#failure) throw this.#failure;
    this.#used = undefined;
    this.#setSyncLevel(sync ? "FULL" : "NORMAL");
    let result: T;
    try {
      this.#begin.run();
      result = write();
      this.#commit.run();
    } catch (error) {
      this.#undo();
      throw this.#judge(error);
    }
    this.commits++;
    return result;
  }

  /**
   * Resolves when all that was changed so far is synced; the thread goes on meanwhile.
   *
   * @throws {StorageError} `failed`
   */
  async sync(): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await this.#wal!.syncData();
    } catch (error) {
      const { message } = error as Error;
      throw this.#failure = new StorageError("failed", `Cannot sync the spool: ${message}`, {
        cause: error,
      });
    }
    // What was written while it ran, or by another, may have failed.
    if (this.#failure) throw this.#failure;
  }

  /** Reads, with the database's errors turned into ours. */
  read<T>(ask: () => T): T {
    if (this.#failure) throw this.#failure;
    try {
      return ask();
    } catch (error) {
      throw this.#judge(error);
    }
  }

  /** Writes the log back if it has grown to its bound. */
  checkpointIfDue(): void {
    this.#readLog();
    if (this.#walBytes >= this.maxWalBytes) this.checkpoint();
  }

  /** Writes the log back into the database, so that it is used from its start again. */
  checkpoint(): void {
    failpoint("checkpoint");
    this.checkpoints++;
    this.read(() => this.#checkpoint.get());
    this.#readLog();
  }

  /** Closes it after a fault at the start. */
  abandon(fault: unknown): void {
    const cause = fault instanceof StorageError ? fault.cause : fault;
    if (faultOf(cause) === "corrupt") this.#options.onUnreadable();
    this.#wal?.close();
    this.#database.close();
  }

  close(): void {
    // Still asked for when all is over.
    void this.usedBytes;
    this.#wal?.close();
    this.#database.close();
  }

  #readLog(): void {
    const { log, checkpointed } = this.read(() => this.#logState.get()) as Record<string, number>;
    // Where an I/O error met the change to WAL, SQLite says "wal" and goes on without one.
    if (log! < 0) throw this.#failure = withoutLog();
    this.#walBytes = log === checkpointed ? 0 : log! * PAGE_BYTES;
  }

  #setSyncLevel(level: "FULL" | "NORMAL"): void {
    if (this.#syncLevel === level) return;
    this.#syncLevels[level].run();
    this.#syncLevel = level;
  }

  #undo(): void {
    try {
      this.#rollback.run();
    } catch {
      // The database has already done so by itself.
    }
    this.#used = undefined;
  }

  #judge(error: unknown): unknown {
    const fault = faultOf(error);
    if (fault === undefined || error instanceof StorageError) return error;
    const { message } = error as Error;
    if (fault === "full") {
      return new StorageError("full", `Cannot write to the spool: ${message}`, { cause: error });
    }
    if (fault === "corrupt") this.#options.onDamage();
    this.#failure = new StorageError("failed", describe(fault, message), { cause: error });
    return this.#failure;
  }
}

function withoutLog(): StorageError {
  return new StorageError(
    "failed",
    "Cannot write to the spool: its write-ahead log could not be made; check the disk and start again",
  );
}

function describe(fault: DatabaseFault, message: string): string {
  return fault === "corrupt"
    ? `Cannot go on with the spool: ${message}; it is set aside at the next start`
    : `Cannot go on with the spool: ${message}`;
}

function numberIn(row: unknown): number {
  return Object.values(row as Record<string, number>)[0]!;
}

/** The first value a pragma answers; by a statement, whose errors carry their code. */
export function ask(database: DatabaseSync, pragma: string): SQLInputValue | undefined {
  const row = database.prepare(`PRAGMA ${pragma}`).get();
  return row && Object.values(row)[0] as SQLInputValue;
}
