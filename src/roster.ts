/**
 * The analyzers across restarts: writes down what the registry has, and brings it back.
 *
 * Always true: what the config file says otherwise than when it was last read wins; all else stays
 * as it was left over the API.
 */

import type { AnalyzerConfig } from "./analyzer.ts";
import { parseAnalyzer } from "./analyzer_config.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { type Spool, StorageError } from "./queue/spool.ts";
import type { Registry } from "./registry.ts";

const FILE_KEY = "config-file-analyzers";

/** An analyzer as it is written down. */
export interface RosterEntry extends AnalyzerConfig {
  readonly paused: boolean;
}

/** Where it is written down, each change at once. What it brings back may be damaged. */
export interface RosterStore {
  load(): unknown[];
  put(entry: RosterEntry): void;
  remove(id: string): void;
  /** The analyzers of the config file when it was last read. */
  loadFile(): unknown;
  saveFile(analyzers: readonly AnalyzerConfig[]): void;
}

/** The place for it in a spool. */
export function storeIn({ analyzers, meta }: Pick<Spool, "analyzers" | "meta">): RosterStore {
  return {
    load: () => analyzers.load(),
    put: (entry) => analyzers.put(entry),
    remove: (id) => analyzers.remove(id),
    loadFile: () => parseJson(meta.get(FILE_KEY) ?? "[]"),
    saveFile: (file) => meta.set(FILE_KEY, JSON.stringify(file)),
  };
}

export interface RosterOptions {
  /** None with durability memory, which brings nothing back. */
  readonly store: RosterStore | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The storage has failed for good. */
  readonly onFailed: (error: Error) => void;
}

/** What could not be written down is tried again after this long. */
const RETRY_MS = 1000;

export class Roster {
  readonly #registry: Registry;
  readonly #options: RosterOptions;
  /** What is written down, by id. */
  readonly #written = new Map<string, RosterEntry>();
  readonly #changed = new Set<string>();
  #file: readonly AnalyzerConfig[] = [];

  #cancelRetry: Cancel | undefined;
  #isClosed = false;

  constructor(registry: Registry, options: RosterOptions) {
    this.#registry = registry;
    this.#options = options;
    registry.onChange(({ id }) => this.#note(id));
  }

  /** Brings back what was written down, at the start. */
  restore(): void {
    const { store } = this.#options;
    if (!store) return;
    const file = store.loadFile();
    if (Array.isArray(file)) this.#file = file.flatMap((entry) => this.#parse(entry) ?? []);
    for (const entry of store.load()) {
      const analyzer = this.#parse(entry);
      if (!analyzer) continue;
      const paused = (entry as RosterEntry).paused === true;
      this.#written.set(analyzer.id, { ...analyzer, paused });
    }
    const entries = [...this.#written.values()];
    if (entries.length === 0) return;
    const paused = entries.filter((entry) => entry.paused).length;
    this.#options.log.info("analyzers restored", {
      source: "disk",
      analyzers: entries.length,
      paused,
    });
    this.#registry.restore(entries);
  }

  /** Takes over what the config file says otherwise than before. */
  takeOver(file: readonly AnalyzerConfig[]): void {
    const source = "config file";
    for (const { id } of this.#file) {
      if (!file.some((analyzer) => analyzer.id === id)) this.#registry.remove(id, { source });
    }
    for (const analyzer of file) {
      const isKnown = this.#file.some((before) => isSame(before, analyzer));
      if (!isKnown) this.#registry.put(analyzer, { source });
    }
    const isNews = JSON.stringify(file) !== JSON.stringify(this.#file);
    this.#file = file;
    // In this order: a file that is remembered without its analyzers would bring none next time.
    this.#writeChanged();
    if (isNews && this.#changed.size === 0) this.#tryWrite(() => this.#saveFile());
  }

  /** Stops its own timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
  }

  #parse(entry: unknown): AnalyzerConfig | undefined {
    try {
      return parseAnalyzer(entry);
    } catch (error) {
      const { message } = error as Error;
      this.#options.log.error("a damaged analyzer is not brought back", { error: message });
      return undefined;
    }
  }

  /** One that moves to another URL leaves and comes in one go: only the end of that is written. */
  #note(id: string): void {
    if (!this.#options.store) return;
    if (this.#changed.size === 0) queueMicrotask(() => this.#writeChanged());
    this.#changed.add(id);
  }

  #writeChanged(): void {
    for (const id of [...this.#changed]) {
      if (this.#tryWrite(() => this.#writeOne(id))) this.#changed.delete(id);
    }
    if (this.#changed.size > 0) this.#retryLater();
  }

  #writeOne(id: string): void {
    const { store } = this.#options;
    const analyzer = this.#registry.get(id);
    const before = this.#written.get(id);
    if (!analyzer) {
      if (!before) return;
      store?.remove(id);
      this.#written.delete(id);
      return;
    }
    const { url, weight, paused } = analyzer;
    if (before && isSame(before, analyzer) && before.paused === paused) return;
    const entry = { id, url, weight, paused };
    store?.put(entry);
    this.#written.set(id, entry);
  }

  #saveFile(): void {
    this.#options.store?.saveFile(this.#file);
  }

  #tryWrite(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.#options.log.error(
        "analyzers not written down: a restart would not know of this change",
        {
          error: (error as Error).message,
          again_in_ms: RETRY_MS,
        },
      );
      const isOver = error instanceof StorageError && error.kind === "failed";
      if (isOver) this.#options.onFailed(error);
      return false;
    }
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => {
      this.#writeChanged();
      if (this.#changed.size === 0) this.#tryWrite(() => this.#saveFile());
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isSame(a: AnalyzerConfig, b: AnalyzerConfig): boolean {
  return a.id === b.id && a.url === b.url && a.weight === b.weight;
}
