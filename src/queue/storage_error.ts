/** What can go wrong with the disk, and how SQLite and the system say it. */

/**
 * `full`: no room now, all else goes on. `failed`: an I/O error or damage; nothing may be
 * acknowledged any more and the process must end. `locked`: another process has the folder.
 * `unusable`: the folder cannot be used at all.
 */
export type StorageFault = "full" | "failed" | "locked" | "unusable";

export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly kind: StorageFault;
  /** Of a change that found no room: whether what it settles is committed nevertheless. */
  readonly settled: boolean;
  /** Of a change that found no room: whether its dead letters are committed nevertheless. */
  readonly buried: boolean;

  constructor(
    kind: StorageFault,
    detail: string,
    options: { cause?: unknown; settled?: boolean; buried?: boolean } = {},
  ) {
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    this.kind = kind;
    this.settled = options.settled ?? false;
    this.buried = options.buried ?? false;
  }
}

/** Whether there was no room, and nothing else is wrong. */
export function isFull(error: unknown): boolean {
  return error instanceof StorageError && error.kind === "full";
}

/** What an error of the database means. */
export type DatabaseFault = "full" | "corrupt" | "locked" | "readonly" | "failed";

/** Primary result codes of SQLite: https://sqlite.org/rescode.html */
const FAULTS: Record<number, DatabaseFault> = {
  5: "locked",
  6: "locked",
  8: "readonly",
  10: "failed",
  11: "corrupt",
  13: "full",
  14: "readonly",
  26: "corrupt",
};

/** Some of its errors come without a code. */
const WORDS: readonly [RegExp, DatabaseFault][] = [
  [/malformed|not a database|encrypted/, "corrupt"],
  [/is full/, "full"],
  [/is locked/, "locked"],
  [/readonly|unable to open/, "readonly"],
];

/** Tells what an error of the database means; undefined when it is not one, but a bug. */
export function faultOf(error: unknown): DatabaseFault | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  // An integer that no number holds: nobody has written that.
  if (code === "ERR_OUT_OF_RANGE") return "corrupt";
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  const named = typeof errcode === "number" ? FAULTS[errcode & 0xff] : undefined;
  return named ?? WORDS.find(([words]) => words.test(error.message))?.[1] ?? "failed";
}

/** Whether a system call said that the disk has failed. */
export function isIoError({ message }: Error): boolean {
  return /os error 5\b/.test(message);
}

/** Whether a system call said that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === "ENOSPC" || code === "EDQUOT" || /os error (28|122)\b/.test(String(message));
}
