/**
 * The analyzers across restarts: writes down what the registry has, and brings it back.
 *
 * Always true: what the config file says otherwise than when it was last read wins; all else stays
 * as it was left over the API.
 */

import type { AnalyzerConfig } from "./analyzer.ts";
import type { Log } from "./log.ts";
import type { Spool } from "./queue/spool.ts";
import type { Registry } from "./registry.ts";

const FILE_KEY = "config-file-analyzers";

/** An analyzer as it is written down. */
export interface RosterEntry extends AnalyzerConfig {
  readonly paused: boolean;
}

/** Where it is written down, each change at once. */
export interface RosterStore {
  load(): RosterEntry[];
  put(entry: RosterEntry): void;
  remove(id: string): void;
  /** The analyzers of the config file when it was last read. */
  loadFile(): readonly AnalyzerConfig[];
  saveFile(analyzers: readonly AnalyzerConfig[]): void;
}

/** The place for it in a spool. */
export function storeIn({ analyzers, meta }: Pick<Spool, "analyzers" | "meta">): RosterStore {
  return {
    load: () => analyzers.load(),
    put: (entry) => analyzers.put(entry),
    remove: (id) => analyzers.remove(id),
    loadFile: () => JSON.parse(meta.get(FILE_KEY) ?? "[]"),
    saveFile: (file) => meta.set(FILE_KEY, JSON.stringify(file)),
  };
}

export class Roster {
  readonly #registry: Registry;
  readonly #store: RosterStore | undefined;
  readonly #log: Log;
  /** What is written down, by id. */
  readonly #written = new Map<string, RosterEntry>();
  readonly #changed = new Set<string>();
  #file: readonly AnalyzerConfig[] = [];

  /** @param options `store`: none with durability memory, which brings nothing back */
  constructor(registry: Registry, options: { store: RosterStore | undefined; log: Log }) {
    this.#registry = registry;
    this.#store = options.store;
    this.#log = options.log;
    registry.onChange(({ id }) => this.#note(id));
  }

  /** Brings back what was written down, at the start. */
  restore(): void {
    if (!this.#store) return;
    this.#file = this.#store.loadFile();
    for (const entry of this.#store.load()) {
      this.#written.set(entry.id, entry);
      const { id, url, weight, paused } = entry;
      this.#registry.put({ id, url, weight });
      if (paused) this.#registry.update(this.#registry.get(id)!, { paused });
    }
  }

  /** Takes over what the config file says otherwise than before. */
  takeOver(file: readonly AnalyzerConfig[]): void {
    for (const { id } of this.#file) {
      if (!file.some((analyzer) => analyzer.id === id)) this.#registry.remove(id);
    }
    for (const analyzer of file) {
      if (!this.#file.some((before) => isSame(before, analyzer))) this.#registry.put(analyzer);
    }
    const isNews = JSON.stringify(file) !== JSON.stringify(this.#file);
    this.#file = file;
    if (isNews) this.#write(() => this.#store?.saveFile(file));
  }

  /** One that moves to another URL leaves and comes in one go: only the end of that is written. */
  #note(id: string): void {
    if (!this.#store) return;
    if (this.#changed.size === 0) queueMicrotask(() => this.#writeChanged());
    this.#changed.add(id);
  }

  #writeChanged(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    this.#write(() => changed.forEach((id) => this.#writeOne(id)));
  }

  #writeOne(id: string): void {
    const analyzer = this.#registry.get(id);
    const before = this.#written.get(id);
    if (!analyzer) {
      if (!before) return;
      this.#store?.remove(id);
      this.#written.delete(id);
      return;
    }
    const { url, weight, paused } = analyzer;
    if (before && isSame(before, analyzer) && before.paused === paused) return;
    const entry = { id, url, weight, paused };
    this.#store?.put(entry);
    this.#written.set(id, entry);
  }

  #write(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error("analyzers not written down: a restart will not know of this change", {
        error: (error as Error).message,
      });
    }
  }
}

function isSame(a: AnalyzerConfig, b: AnalyzerConfig): boolean {
  return a.id === b.id && a.url === b.url && a.weight === b.weight;
}
