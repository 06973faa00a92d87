/**
 * A lock on a file, held until it is closed or its process ends; nobody waits for one.
 *
 * Of the system's kind where this Deno has it. Deno before 2.7 can only wait for that: there it is
 * SQLite's lock on the same file, which stays empty.
 */

import { DatabaseSync } from "node:sqlite";

export interface FileLock {
  close(): void;
}

/** What later versions of Deno add. */
interface Lockable {
  tryLockSync?(exclusive: boolean): boolean;
}

/**
 * Takes a lock; undefined when another process has it.
 *
 * @param options.exclusive alone, making the file if need be; else shared with other such locks
 * @throws what opening the file throws
 */
export function tryLock(path: string, options: { exclusive: boolean }): FileLock | undefined {
  const { exclusive } = options;
  const file = Deno.openSync(path, { read: true, write: exclusive, create: exclusive });
  const { tryLockSync } = file as Lockable;
  if (!tryLockSync) {
    file.close();
    return tryDatabaseLock(path, options);
  }
  if (tryLockSync.call(file, exclusive)) return file;
  file.close();
  return undefined;
}

/** The lock for a Deno that cannot try. */
export function tryDatabaseLock(
  path: string,
  { exclusive }: { exclusive: boolean },
): FileLock | undefined {
  const database = new DatabaseSync(path, { readOnly: !exclusive });
  try {
    database.exec("PRAGMA busy_timeout = 0");
    // A read takes the shared lock, and the transaction keeps it.
    database.exec(exclusive ? "BEGIN EXCLUSIVE" : "BEGIN; SELECT * FROM sqlite_schema");
    return database;
  } catch (error) {
    database.close();
    if (/locked/.test((error as Error).message)) return undefined;
    throw error;
  }
}
