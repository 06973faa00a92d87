/** Analyzers in the database, and single values beside them; each write is synced at once. */

import type { StatementSync } from "node:sqlite";
import type { RowDoors } from "./spool_database.ts";

export interface AnalyzerRow {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly paused: boolean;
}

export class AnalyzerRows {
  readonly #database: RowDoors;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: RowDoors) {
    this.#database = database;
    this.#put = database.prepare("INSERT OR REPLACE INTO analyzers VALUES (?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM analyzers WHERE id = ?");
  }

  /** All, by id. */
  load(): AnalyzerRow[] {
    return this.#database.read(() =>
      this.#database.prepare("SELECT * FROM analyzers ORDER BY id").all()
    ).map((row) => ({ ...row, paused: row["paused"] === 1 } as unknown as AnalyzerRow));
  }

  /** Adds one, or replaces the one with its id. */
  put({ id, url, weight, paused }: AnalyzerRow): void {
    this.#database.change(() => this.#put.run(id, url, weight, Number(paused)));
  }

  remove(id: string): void {
    this.#database.change(() => this.#remove.run(id));
  }
}

/** Single values by name; those of the spool itself are not among them. */
export class MetaRows {
  readonly #database: RowDoors;

  constructor(database: RowDoors) {
    this.#database = database;
  }

  get(key: string): string | undefined {
    return this.#database.read(() =>
      this.#database.prepare("SELECT value FROM meta WHERE key = ?").get(`x-${key}`)
    )?.["value"] as string | undefined;
  }

  set(key: string, value: string): void {
    this.#database.change(() =>
      this.#database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(`x-${key}`, value)
    );
  }
}
