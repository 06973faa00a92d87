import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { packetBytes } from "../src/packet.ts";
import { StorageError } from "../src/queue/spool.ts";
import { FakeClock } from "./support/fake_clock.ts";
import {
  bury,
  createMemoryLog,
  deadRow,
  idsOf,
  loadAll,
  makePacket,
  makePackets,
  openSpool,
  put,
  settle,
  takeParts,
  TempFolder,
} from "./support/spools.ts";

const CHILD = new URL("./support/hold_spool.ts", import.meta.url);

Deno.test("spool.commit() keeps each packet byte for byte, with its messages, form and time", () => {
  using folder = new TempFolder();
  const clock = new FakeClock({ monotonicMs: 500, wallMs: Date.UTC(2026, 0, 1) });
  const packets = [
    makePacket("a", { messages: 3 }),
    { ...makePacket('ü"\u{1f600}'), multiline: true, acceptedAtMs: 400 },
    makePacket("large", { bytes: 300_000 }),
  ];
  const spool = openSpool(folder.path, { clock });
  const group = spool.commit({ arrivals: packets, settled: [], dead: [] });
  spool.close();

  const again = openSpool(folder.path, { clock });
  const stored = loadAll(again);
  assertEquals(idsOf(stored), idsOf(packets));
  assertEquals(stored.map(({ bytes }) => bytes), packets.map(packetBytes));
  assertEquals(stored.map(({ messages }) => messages), [3, 1, 1]);
  assertEquals(stored.map(({ multiline }) => multiline), [false, true, false]);
  assertEquals(stored[1]!.acceptedWallMs, Date.UTC(2026, 0, 1) - 100);
  assertEquals(stored.map(({ group, index }) => [group, index]), [[group, 0], [group, 1], [
    group,
    2,
  ]]);
  const bytes = packets.reduce((sum, packet) => sum + packet.bytes, 0);
  assertEquals(again.found, { packets: 3, messages: 5, bytes });
  assertEquals(again.setAside, []);
  again.close();
});

Deno.test("spool.commit() settles packets in any order, and none of them comes again", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const first = put(spool, makePackets(5, "a"));
  const second = put(spool, makePackets(20, "b"));
  settle(spool, [second[19]!, first[3]!, second[0]!, first[0]!]);
  spool.commit({ arrivals: makePackets(1, "c"), settled: [first[4]!, first[1]!], dead: [] });
  spool.close();

  const again = openSpool(folder.path);
  const left = ["a2", ...makePackets(20, "b").slice(1, 19).map(({ id }) => id), "c0"];
  assertEquals(again.found.packets, left.length);
  assertEquals(idsOf(loadAll(again)), left);
  settle(again, [first[2]!]);
  assertEquals(idsOf(loadAll(again)), left.slice(1));
  again.close();
});

Deno.test("spool.commit() throws on a packet settled twice or not there, and writes nothing", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const refs = put(spool, makePackets(3));
  settle(spool, [refs[1]!]);
  const cases = [
    [[refs[1]!], "it is settled"],
    [[refs[0]!, refs[0]!], "it is settled"],
    [[{ group: refs[0]!.group, index: 3 }], "its group has 3"],
    [[{ group: refs[0]!.group, index: -1 }], "its group has 3"],
    [[{ group: 77, index: 0 }], "there is no such group"],
  ] as const;
  for (const [settled, says] of cases) {
    const arrivals = makePackets(1, "new");
    const error = assertThrows(() => spool.commit({ arrivals, settled, dead: [] }), Error, says);
    assert(!(error instanceof StorageError));
  }
  assertEquals(idsOf(loadAll(spool)), ["p0", "p2"]);
  settle(spool, [refs[0]!, refs[2]!]);
  assertThrows(() => settle(spool, [refs[0]!]), Error, "there is no such group");
  assertEquals([loadAll(spool), spool.sizes().usedBytes < 1 << 18], [[], true]);
  spool.close();
});

Deno.test("spool.load() reads at least one group, about as much as asked for, and then goes on", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  for (let i = 0; i < 6; i++) put(spool, makePackets(2, `g${i}-`, 1000));
  const { bytes } = makePacket("g0-0", { bytes: 1000 });
  const read = (afterGroup: number, maxBytes: number) =>
    spool.load({ afterGroup, maxBytes }).map(({ group }) => group);
  assertEquals(read(0, 1), [1]);
  assertEquals(read(1, 4 * bytes), [2, 3]);
  assertEquals(read(5, 1 << 20), [6]);
  assertEquals(read(6, 1 << 20), []);
  assertEquals([spool.lastGroup, loadAll(spool, 1).length], [6, 12]);
  spool.close();
});

Deno.test("spool.dead keeps what was buried, settles it, lists it without and gives it with bytes", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const packets = makePackets(4);
  const refs = put(spool, packets);
  bury(spool, [
    deadRow(refs[2]!, packets[2]!, "retries_exhausted"),
    deadRow(refs[0]!, { ...packets[0]!, multiline: true }),
  ]);
  bury(spool, [deadRow(refs[1]!, packets[1]!)]);
  spool.close();

  const again = openSpool(folder.path);
  const { dead } = again;
  assertEquals(idsOf(loadAll(again)), ["p3"]);
  assertEquals(dead.totals(), { packets: 3, messages: 3, bytes: packets[0]!.bytes * 3 });
  const page = (offset: number, limit: number) =>
    dead.list({ offset, limit }).map(({ packetId }) => packetId);
  assertEquals([page(0, 2), page(2, 2), page(3, 1)], [["p2", "p0"], ["p1"], []]);
  const listed = dead.list({ offset: 1, limit: 9 });
  assertEquals(listed.map(({ packetId, reason, multiline }) => [packetId, reason, multiline]), [
    ["p0", "rejected", true],
    ["p1", "rejected", false],
  ]);
  const { key, ...info } = dead.list({ offset: 0, limit: 1 })[0]!;
  assertEquals(info, {
    ...{ packetId: "p2", reason: "retries_exhausted", analyzer: "a", detail: "HTTP 422" },
    ...{ attempts: 2, since: "2024-01-02T03:04:05.678Z", messages: 1, multiline: false },
    bytes: packets[2]!.bytes,
  });
  assert(key > 0);
  assertEquals(dead.get("p2")!.data, packetBytes(packets[2]!));
  assertEquals(dead.get("none"), undefined);
  again.close();
});

Deno.test("spool.dead.replayParts() queues letters behind all else, in parts, and by selection", () => {
  using folder = new TempFolder();
  const clock = new FakeClock();
  const spool = openSpool(folder.path, { clock });
  const packets = makePackets(600);
  const refs = put(spool, packets);
  bury(
    spool,
    packets.map((packet, i) =>
      deadRow(refs[i]!, packet, i % 2 === 0 ? "rejected" : "retries_exhausted")
    ),
  );
  put(spool, makePackets(1, "later"));
  const before = spool.lastGroup;
  clock.advance(1000);
  assertEquals(takeParts(spool.dead.replayParts({ ids: ["p5", "none", "p5", "p1"] })), 2);
  assertEquals(takeParts(spool.dead.replayParts({ ids: ["p0", "p3"], reason: "rejected" })), 1);
  assertEquals(idsOf(loadAll(spool)), ["later0", "p5", "p1", "p0"]);
  assertEquals(takeParts(spool.dead.replayParts({ reason: "rejected" })), 299);
  assertEquals(spool.dead.totals(), {
    packets: 298,
    messages: 298,
    bytes: packets.filter((_, i) => i % 2 === 1 && i !== 1 && i !== 5)
      .reduce((sum, { bytes }) => sum + bytes, 0),
  });
  assertEquals(takeParts(spool.dead.replayParts({})), 298);
  assertEquals([spool.dead.totals().packets, takeParts(spool.dead.replayParts({}))], [0, 0]);
  const all = loadAll(spool);
  assertEquals([all.length, new Set(idsOf(all)).size], [601, 601]);
  assert(all.slice(1).every(({ group }) => group > before));
  assertEquals(all.at(-1)!.acceptedWallMs, clock.wallMs());
  assertEquals(all[1]!.bytes, packetBytes(packets[5]!));
  settle(spool, all);
  assertEquals(loadAll(spool), []);
  spool.close();
});

Deno.test("spool.dead.deleteParts() removes for good what a selection names", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const packets = [...makePackets(3), makePacket("p0")];
  const refs = put(spool, packets);
  bury(spool, packets.map((packet, i) => deadRow(refs[i]!, packet)));
  assertEquals(takeParts(spool.dead.deleteParts({ ids: ["p0"] })), 2);
  assertEquals(takeParts(spool.dead.deleteParts({ reason: "retries_exhausted" })), 0);
  assertEquals(takeParts(spool.dead.deleteParts({})), 2);
  assertEquals([spool.dead.list({ offset: 0, limit: 9 }), loadAll(spool)], [[], []]);
  spool.close();
});

Deno.test("spool.analyzers and spool.meta survive a restart", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const one = { id: "a", url: "http://localhost:1", weight: 0.1, paused: false };
  spool.analyzers.put({ ...one, id: "b" });
  spool.analyzers.put(one);
  spool.analyzers.put({ ...one, weight: 1e6, paused: true });
  spool.analyzers.put({ ...one, id: "c" });
  spool.analyzers.remove("b");
  spool.meta.set("format", "mine");
  spool.close();
  const again = openSpool(folder.path);
  assertEquals(again.analyzers.load(), [{ ...one, weight: 1e6, paused: true }, {
    ...one,
    id: "c",
  }]);
  assertEquals([again.meta.get("format"), again.meta.get("none")], ["mine", undefined]);
  again.close();
});

Deno.test("spool.open() makes a missing folder, parents included, for its user alone", () => {
  using folder = new TempFolder();
  const path = `${folder.path}/a/b/c`;
  openSpool(path).close();
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o700);
});

Deno.test("spool.open() refuses a folder in use, in one line, and takes it once it is free", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const error = assertThrows(() => openSpool(folder.path), StorageError, "--data-dir");
  assertEquals(error.kind, "locked");
  assertStringIncludes(error.message, JSON.stringify(folder.path));
  spool.close();
  openSpool(folder.path).close();
});

Deno.test("spool.open() refuses a folder another process has, until that one is killed", async () => {
  using folder = new TempFolder();
  const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...profile, "-A", CHILD.href, folder.path],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  assertEquals(assertThrows(() => openSpool(folder.path), StorageError).kind, "locked");
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  const spool = openSpool(folder.path);
  assertEquals(idsOf(loadAll(spool)), ["p0", "p1"]);
  spool.close();
});

Deno.test("spool.open() refuses what is not a folder, or cannot be written, with what to do", () => {
  using folder = new TempFolder();
  const file = `${folder.path}/file`;
  Deno.writeTextFileSync(file, "");
  for (const path of [file, `${file}/below`, "/proc/none"]) {
    const error = assertThrows(() => openSpool(path), StorageError, "--data-dir");
    assertEquals([error.kind, error.message.includes("\n")], ["unusable", false]);
    assertStringIncludes(error.message, JSON.stringify(path));
  }
});

Deno.test("spool.open() refuses a format of a later version, and leaves the file alone", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  put(spool, makePackets(1));
  spool.close();
  using database = new DatabaseSync(`${folder.path}/spool.db`);
  database.exec("PRAGMA user_version = 2; UPDATE meta SET value = '2' WHERE key = 'format'");
  database.close();
  const error = assertThrows(() => openSpool(folder.path), StorageError, "its format is 2");
  assertEquals(error.kind, "unusable");
  assert(!folder.files().some((name) => name.includes("corrupt")));
});

Deno.test("spool.commit() at its cap refuses arrivals alone, and takes them again when there is room", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path, { maxBytes: 4 << 20 });
  const kept = [];
  const packets = makePackets(4, "p", 50_000);
  while (spool.hasRoom(200_000)) kept.push(put(spool, packets));
  assert(kept.length > 5);
  const { usedBytes, arrivalsMaxBytes, maxBytes } = spool.sizes();
  assert(usedBytes <= arrivalsMaxBytes && arrivalsMaxBytes < maxBytes);
  const [first, second] = kept;
  const error = assertThrows(() =>
    spool.commit({
      arrivals: makePackets(8, "more", 50_000),
      settled: first!.slice(0, 2),
      dead: [deadRow(first![2]!, packets[2]!), deadRow(first![3]!, packets[3]!)],
    }), StorageError);
  assertEquals([error.kind, error.settled, error.buried], ["full", true, true]);
  assertEquals(spool.dead.totals().packets, 2);
  assert(!idsOf(loadAll(spool)).includes("more0"));
  settle(spool, [...second!, ...kept[2]!, ...kept[3]!]);
  assert(spool.hasRoom(400_000));
  put(spool, makePackets(8, "more", 50_000));
  spool.close();
  assert(Deno.statSync(`${folder.path}/spool.db`).size <= maxBytes);
});

Deno.test("spool.commit() says which of settled and dead it could not write either", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path, { maxBytes: 2 << 20 });
  const packets = makePackets(30, "p", 50_000);
  const refs = put(spool, packets);
  const rows = packets.slice(1).map((packet, i) => deadRow(refs[i + 1]!, packet));
  const error = assertThrows(
    () => spool.commit({ arrivals: [], settled: [refs[0]!], dead: rows }),
    StorageError,
  );
  assertEquals([error.kind, error.settled, error.buried], ["full", true, false]);
  assertEquals([spool.dead.totals().packets, loadAll(spool).length], [0, 29]);
  bury(spool, [rows[0]!]);
  settle(spool, refs.slice(2));
  spool.close();
});

Deno.test("spool.sizes() tells a log that stays bounded, and what is freed", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path, { maxBytes: 16 << 20 });
  const most = [0, 0];
  let before = put(spool, makePackets(16, "p", 3000));
  for (let i = 0; i < 400; i++) {
    const arrivals = makePackets(16, `${i}-`, 3000);
    const group = spool.commit({ arrivals, settled: before, dead: [] });
    before = arrivals.map((_, index) => ({ group, index }));
    most[0] = Math.max(most[0]!, spool.sizes().usedBytes);
    most[1] = Math.max(most[1]!, Deno.statSync(`${folder.path}/spool.db-wal`).size);
  }
  assert(most[0]! < 1 << 20, `used ${most[0]}`);
  assert(most[1]! < 3 << 20, `log ${most[1]}`);
  const { commits, checkpoints } = spool.sizes();
  assertEquals(commits, 401);
  assert(checkpoints > 2 && checkpoints < 100, `${checkpoints}`);
  spool.close();
  assertEquals(folder.files(), ["spool.ballast", "spool.db", "spool.lock"]);
});

Deno.test("spool.open() is ready in 3 s with 100,000 packets waiting", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  for (let i = 0; i < 1000; i++) {
    const refs = put(spool, makePackets(100, `${i}-`, 1000));
    if (i % 10 === 0) settle(spool, refs.slice(0, 50));
  }
  spool.close();
  const startedMs = performance.now();
  const again = openSpool(folder.path);
  const [first] = again.load({ afterGroup: 0, maxBytes: 1 << 20 });
  const tookMs = performance.now() - startedMs;
  assertEquals([again.found.packets, first!.packets.length], [95_000, 50]);
  assert(tookMs < 3000, `${tookMs} ms`);
  again.close();
});

Deno.test("spool.open() tells of nothing when nothing is wrong", () => {
  using folder = new TempFolder();
  const log = createMemoryLog();
  openSpool(folder.path, { log }).close();
  openSpool(folder.path, { log }).close();
  assertEquals(log.entries, []);
});
