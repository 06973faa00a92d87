import { assert, assertEquals } from "@std/assert";
import type { AnalyzerConfig } from "../src/analyzer.ts";
import { DEFAULT_HEALTH } from "../src/health.ts";
import type { LogFields } from "../src/log.ts";
import { StorageError } from "../src/queue/spool.ts";
import { Registry } from "../src/registry.ts";
import { Roster, type RosterEntry, type RosterStore } from "../src/roster.ts";
import { FakeClock } from "./support/fake_clock.ts";

const A = { id: "a", url: "http://a", weight: 4 };
const B = { id: "b", url: "http://b", weight: 3 };

/** What is written down, as a database would have it. */
class FakeStore implements RosterStore {
  readonly entries = new Map<string, RosterEntry>();
  file: readonly AnalyzerConfig[] = [];
  writes = 0;
  isBroken = false;

  load(): RosterEntry[] {
    return [...this.entries.values()];
  }

  put(entry: RosterEntry): void {
    if (this.isBroken) throw new Error("disk full");
    this.writes++;
    this.entries.set(entry.id, entry);
  }

  remove(id: string): void {
    this.writes++;
    this.entries.delete(id);
  }

  loadFile(): readonly AnalyzerConfig[] {
    return this.file;
  }

  saveFile(file: readonly AnalyzerConfig[]): void {
    this.file = file;
  }
}

type Line = [event: string, fields?: LogFields];

/** A distributor's start over a store, with what the config file says. */
function start(store: RosterStore | undefined, file: readonly AnalyzerConfig[] = []) {
  const events: string[] = [];
  const lines: Line[] = [];
  const say = (event: string, fields?: LogFields) => {
    events.push(event);
    lines.push(fields ? [event, fields] : [event]);
  };
  const log = { debug: say, info: say, warn: say, error: say, end: () => Promise.resolve() };
  const clock = new FakeClock();
  const failures: Error[] = [];
  const registry = new Registry(
    { health: DEFAULT_HEALTH, maxLoad: () => 1000 },
    { clock, random: () => 0.5, log },
  );
  const roster = new Roster(registry, {
    store,
    clock,
    log,
    onFailed: (error) => void failures.push(error),
  });
  roster.restore();
  roster.takeOver(file);
  const list = () =>
    [...registry.analyzers].map(({ id, url, weight, paused }) => ({ id, url, weight, paused }));
  return { registry, roster, list, events, lines, clock, failures };
}

const settled = () => Promise.resolve();

Deno.test("roster brings back what was registered, changed and paused over the API", async () => {
  const store = new FakeStore();
  const { registry } = start(store);
  registry.put(A);
  registry.put(B);
  registry.update(registry.get("b")!, { weight: 7, paused: true });
  await settled();
  assertEquals(start(store).list(), [{ ...A, paused: false }, { ...B, weight: 7, paused: true }]);
});

Deno.test("roster forgets what was removed, and follows one that moves", async () => {
  const store = new FakeStore();
  const { registry } = start(store);
  registry.put(A);
  registry.put(B);
  registry.remove("a");
  registry.put({ ...B, url: "http://elsewhere" });
  await settled();
  assertEquals(start(store).list(), [{ ...B, url: "http://elsewhere", paused: false }]);
});

Deno.test("roster takes from the config file what it says otherwise than before, and only that", async () => {
  const store = new FakeStore();
  const first = start(store, [A, B]);
  first.registry.update(first.registry.get("a")!, { weight: 9 });
  first.registry.remove("b");
  await settled();
  const unchanged = start(store, [A, B]);
  assertEquals(unchanged.list(), [{ ...A, weight: 9, paused: false }], "the API's changes stay");
  const changed = start(store, [{ ...A, weight: 5 }, { ...B, weight: 1 }]);
  assertEquals(changed.list().map(({ weight }) => weight), [5, 1], "the file's changes win");
  await settled();
  assertEquals(start(store, [B]).list().map(({ id }) => id), ["b"], "as does what it leaves out");
});

Deno.test("roster tells what it has restored in one line, and of no change", async () => {
  const store = new FakeStore();
  const first = start(store, [A]);
  assertEquals(first.lines, [["analyzer registered", { ...A, source: "config file" }]]);
  first.registry.put(B);
  first.registry.update(first.registry.get("b")!, { paused: true });
  await settled();
  const { writes } = store;
  const again = start(store, [A]);
  await settled();
  const restored: Line = ["analyzers restored", { source: "disk", analyzers: 2, paused: 1 }];
  assertEquals(again.lines, [restored]);
  assertEquals(store.writes, writes);
  const changed = start(store, [{ ...A, weight: 5 }]);
  const change = { id: "a", from: A.weight, to: 5, source: "config file" };
  assertEquals(changed.lines, [restored, ["analyzer weight changed", change]]);
});

Deno.test("roster says that packets wait where all that it restores are paused", () => {
  const store = new FakeStore();
  store.entries.set("a", { ...A, paused: true });
  assertEquals(start(store).events, [
    "analyzers restored",
    "no analyzer is available: packets wait",
  ]);
  store.entries.set("b", { ...B, paused: false });
  assertEquals(start(store).events, ["analyzers restored"]);
});

Deno.test("roster.takeOver() applies a file that was read again", () => {
  const { roster, list } = start(undefined, [A]);
  roster.takeOver([{ ...A, weight: 5 }, B]);
  assertEquals(list().map(({ id, weight }) => [id, weight]), [["a", 5], ["b", 3]]);
  roster.takeOver([]);
  assertEquals(list(), []);
});

Deno.test("roster writes nothing for a change of health", async () => {
  const store = new FakeStore();
  const { registry } = start(store);
  registry.put(A);
  await settled();
  const { writes } = store;
  for (let i = 0; i < 3; i++) {
    registry.probed(registry.get("a")!, { ok: false, detail: "refused", batches: false });
  }
  await settled();
  assertEquals([registry.get("a")!.health.state, store.writes], ["ejected", writes]);
});

Deno.test("roster says so when a change could not be written down, and tries again", async () => {
  const store = new FakeStore();
  const { registry, events, clock } = start(store);
  store.isBroken = true;
  registry.put(A);
  await settled();
  assertEquals(
    events.at(-1),
    "analyzers not written down: a restart would not know of this change",
  );
  assertEquals(registry.size, 1);
  store.isBroken = false;
  clock.advance(1000);
  assertEquals(start(store).list(), [{ ...A, paused: false }]);
});

Deno.test("roster takes the config file's analyzers over again when they could not be written", async () => {
  const store = new FakeStore();
  store.isBroken = true;
  start(store, [A, B]);
  await settled();
  assertEquals(store.file, [], "else the next start would find nothing new in the file");
  store.isBroken = false;
  assertEquals(start(store, [A, B]).list().map(({ id }) => id), ["a", "b"]);
});

Deno.test("roster passes over what is damaged in the store, and says so", () => {
  const store = new FakeStore();
  store.entries.set("a", { ...A, paused: false });
  store.entries.set("b", { ...B, weight: NaN, paused: false });
  const { list, events } = start(store);
  assertEquals(list().map(({ id }) => id), ["a"]);
  assert(events.includes("a damaged analyzer is not brought back"));
});

Deno.test("roster tells of a storage that has failed for good", async () => {
  const store = new FakeStore();
  const { registry, failures } = start(store);
  store.put = () => {
    throw new StorageError("failed", "I/O error");
  };
  registry.put(A);
  await settled();
  assertEquals(failures.map(({ message }) => message), ["I/O error"]);
});
