/**
 * The folder that a spool lives in: made, locked, and cleared of what is damaged.
 *
 * The lock is a file of its own, so that an offline look can ask for it without the database.
 */

import type { Clock } from "../clock.ts";
import { type FileLock, tryLock } from "./file_lock.ts";
import { faultOf, isIoError, StorageError } from "./storage_error.ts";

const DATABASE = "spool.db";
const LOCK = "spool.lock";
const BALLAST = "spool.ballast";
/** Its presence says that the database was found damaged while it was in use. */
const DAMAGED = "spool.damaged";

/** Paths inside a data folder. */
export interface FolderPaths {
  readonly database: string;
  readonly wal: string;
  readonly lock: string;
  readonly ballast: string;
  readonly damaged: string;
}

export function pathsIn(folder: string): FolderPaths {
  const inside = (name: string) => `${folder}/${name}`;
  return {
    database: inside(DATABASE),
    wal: inside(`${DATABASE}-wal`),
    lock: inside(LOCK),
    ballast: inside(BALLAST),
    damaged: inside(DAMAGED),
  };
}

/** Whether something is at a path. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function sizeOf(path: string): number {
  return exists(path) ? Deno.statSync(path).size : 0;
}

/** What a process holds of a folder; gone with the process, however that ends. */
export class DataFolder {
  readonly path: string;
  readonly paths: FolderPaths;
  readonly #lock: FileLock;

  /**
   * Makes the folder if need be, and takes it for this process.
   *
   * @throws {StorageError} `locked` or `unusable`, with what to do
   */
  constructor(path: string) {
    this.path = path;
    this.paths = pathsIn(path);
    let lock: FileLock | undefined;
    try {
      makeFolder(path);
      lock = tryLock(this.paths.lock, { exclusive: true });
    } catch (error) {
      throw unusable(path, error);
    }
    if (!lock) throw inUse(path);
    this.#lock = lock;
  }

  /** Notes that the database is damaged, so that the next start does not trip over it again. */
  markDamaged(): void {
    try {
      Deno.writeTextFileSync(this.paths.damaged, "");
    } catch {
      // The next start then finds out by itself, or marks it once more.
    }
  }

  /** Whether the database was found damaged, or is none: SQLite would delete its log. */
  get isDamaged(): boolean {
    const { damaged, database } = this.paths;
    if (exists(damaged)) return true;
    return exists(database) ? !isDatabase(database) || this.#isLogAlone() : this.#isLogAlone();
  }

  /** A log without a database is what is left of one; SQLite would delete it. */
  #isLogAlone(): boolean {
    return sizeOf(this.paths.database) === 0 && sizeOf(this.paths.wal) > 0;
  }

  /** Gives up the room kept for a full disk; whether there was any. */
  removeBallast(): boolean {
    if (!exists(this.paths.ballast)) return false;
    Deno.removeSync(this.paths.ballast);
    return true;
  }

  /** Keeps damaged bytes in a file of a name that is not taken; returns its path. */
  keepDamaged(name: string, bytes: Uint8Array): string {
    let path = `${this.path}/${name}.bin`;
    for (let n = 2; exists(path); n++) path = `${this.path}/${name}-${n}.bin`;
    using file = Deno.openSync(path, { write: true, createNew: true });
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
    return path;
  }

  /** Makes the names of the files in it durable. */
  sync(): void {
    syncFolder(this.path);
  }

  /** Renames database and log together, which stay readable as a pair; returns their new paths. */
  setAside(clock: Clock): string[] {
    const stamp = new Date(clock.wallMs()).toISOString().replaceAll(/[:.]/g, "");
    let base = `${this.paths.database}.corrupt-${stamp}`;
    for (let n = 2; exists(base) || exists(`${base}-wal`); n++) {
      base = `${this.paths.database}.corrupt-${stamp}-${n}`;
    }
    const moved: string[] = [];
    const { database, wal, damaged } = this.paths;
    for (const [from, to] of [[wal, `${base}-wal`], [database, base]] as const) {
      if (!exists(from)) continue;
      Deno.renameSync(from, to);
      moved.push(to);
    }
    if (exists(damaged)) Deno.removeSync(damaged);
    return moved.reverse();
  }

  /** Gives the folder back. */
  release(): void {
    this.#lock.close();
  }
}

/** The refusal of a folder that another process has. */
export function inUse(path: string): StorageError {
  return new StorageError(
    "locked",
    `Cannot use data folder ${JSON.stringify(path)}: another distributor runs on it; ` +
      "stop that one, or choose another folder with --data-dir",
  );
}

/** The refusal of a folder that does not serve, with the system's reason. */
export function unusable(path: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  return new StorageError(
    "unusable",
    `Cannot use data folder ${JSON.stringify(path)}: ${whyUnusable(path, error as Error)}`,
    { cause: error },
  );
}

/** The user may well have all rights there, and Deno's own words say nothing of a task. */
function whyUnusable(path: string, error: Error): string {
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno's permissions do not let this program read and write there; choose a folder " +
      "inside data with --data-dir, or make data a symbolic link; from source, main.ts also runs " +
      `with permissions of your own, such as --allow-write=${JSON.stringify(path)}`;
  }
  const [message] = error.message.split("\n", 1);
  if (faultOf(error) === "corrupt") {
    return `its spool is damaged: ${message}; the next start of the distributor sets it aside`;
  }
  if (faultOf(error) === "failed" || isIoError(error)) return `${message}; check the disk`;
  return `${message}; ` +
    "make it a folder that this user may write to, or choose another with --data-dir";
}

/** A fault of opening, in one line with what to do; a bug stays as it is. */
export function toOpenError(error: unknown, folder: string): unknown {
  if (error instanceof StorageError) return error;
  switch (faultOf(error)) {
    case "full":
      return new StorageError(
        "full",
        `Cannot open the spool in ${JSON.stringify(folder)}: the disk is full; free some room`,
        { cause: error },
      );
    case "failed":
      return new StorageError(
        "failed",
        `Cannot open the spool in ${JSON.stringify(folder)}: ${(error as Error).message}`,
        { cause: error },
      );
    default:
      return error instanceof TypeError || error instanceof RangeError
        ? error
        : unusable(folder, error);
  }
}

const MAGIC = "SQLite format 3\0";

/** An empty file is one too. */
function isDatabase(path: string): boolean {
  using file = Deno.openSync(path, { read: true });
  const start = new Uint8Array(MAGIC.length);
  const read = file.readSync(start);
  return read === null || new TextDecoder().decode(start) === MAGIC;
}

function makeFolder(path: string): void {
  if (exists(path)) {
    if (Deno.statSync(path).isDirectory) return;
    throw new Error("it is not a folder");
  }
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  syncFolder(path);
  try {
    syncFolder(`${path}/..`);
  } catch (error) {
    // Executables may not look at the folder around; they find theirs made, or make it but once.
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

/** Makes names in a folder survive a power loss. */
function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(path, { read: true });
  folder.syncSync();
}
