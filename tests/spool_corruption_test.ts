/** Torn and flipped files: a spool opens on each, with a prefix of what was committed, or says so. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { packetBytes } from "../src/packet.ts";
import { type PacketRef, StorageError } from "../src/queue/spool.ts";
import { type Random, seededRandom } from "../src/random.ts";
import {
  bury,
  createMemoryLog,
  deadRow,
  idsOf,
  loadAll,
  makePackets,
  openSpool,
  put,
  settle,
  TempFolder,
} from "./support/spools.ts";

const SEED = 4;
const CUTS = 500;
const FLIPS = 200;
/** Small, as each spool makes a ballast of an eighth of it. */
const MAX_BYTES = 8 << 20;

/** The bytes of every packet of the history, by id. */
const BYTES = new Map<string, Uint8Array>();

/** What was held after each commit, as text; the log holds all of it. */
function makeHistory(folder: TempFolder, target: TempFolder): Set<string> {
  const spool = openSpool(folder.path);
  const states = new Set<string>([stateOf(spool)]);
  const kept: PacketRef[] = [];
  for (let i = 0; i < 30; i++) {
    const packets = makePackets(5, `${i}-`, 200 + (i % 4) * 9000);
    for (const packet of packets) BYTES.set(packet.id, packetBytes(packet));
    kept.push(...put(spool, packets));
    states.add(stateOf(spool));
    settle(spool, kept.splice(i % 3, 2));
    states.add(stateOf(spool));
    if (i % 5 !== 0) continue;
    const refs = put(spool, packets);
    states.add(stateOf(spool));
    bury(spool, packets.map((packet, n) => deadRow(refs[n]!, packet)));
    states.add(stateOf(spool));
  }
  folder.copyTo(target.path);
  spool.close();
  return states;
}

function stateOf(spool: ReturnType<typeof openSpool>): string {
  const packets = loadAll(spool);
  for (const { id, bytes } of packets) {
    if (BYTES.has(id)) assertEquals(bytes, BYTES.get(id));
  }
  return JSON.stringify([idsOf(packets), spool.dead.totals().packets]);
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function flip(bytes: Uint8Array, random: Random): void {
  bytes[below(random, bytes.length)]! ^= 1 << below(random, 8);
}

/** Opens files that are damaged; what it holds must be of the history, or be set aside. */
function openDamaged(
  files: { database: Uint8Array; wal?: Uint8Array },
  check: (state: string, lost: number) => void,
): "kept" | "set aside" {
  using folder = new TempFolder();
  Deno.writeFileSync(`${folder.path}/spool.db`, files.database);
  if (files.wal) Deno.writeFileSync(`${folder.path}/spool.db-wal`, files.wal);
  const log = createMemoryLog();
  let spool = openSpool(folder.path, { log, maxBytes: MAX_BYTES });
  let isSetAside = spool.setAside.length > 0;
  try {
    if (!isSetAside) check(stateOf(spool), spool.lost.packets);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    // Found while in use: the process ends, and the next start sets it aside.
    assertEquals(error.kind, "failed");
    spool.close();
    spool = openSpool(folder.path, { log, maxBytes: MAX_BYTES });
    isSetAside = true;
  }
  if (isSetAside) {
    assert(spool.setAside.length > 0);
    for (const file of spool.setAside) assert(Deno.statSync(file).isFile);
    assertEquals([loadAll(spool), log.entries.some(({ level }) => level === "error")], [[], true]);
  }
  put(spool, makePackets(1, "new"));
  assert(idsOf(loadAll(spool)).includes("new0"));
  spool.close();
  return isSetAside ? "set aside" : "kept";
}

Deno.test(`spool.open() on ${CUTS} cut and ${FLIPS} flipped logs holds a prefix, seed ${SEED}`, () => {
  using folder = new TempFolder();
  using left = new TempFolder();
  const states = makeHistory(folder, left);
  const database = Deno.readFileSync(`${left.path}/spool.db`);
  const wal = Deno.readFileSync(`${left.path}/spool.db-wal`);
  assert(wal.length > 1 << 20);
  const random = seededRandom(SEED);
  const seen = new Set<string>();
  const results = { kept: 0, "set aside": 0 };
  const check = (state: string, lost: number) => {
    assert(states.has(state), `not of the history: ${state}`);
    assertEquals(lost, 0);
    seen.add(state);
  };
  for (let i = 0; i < CUTS + FLIPS; i++) {
    const copy = wal.slice(0, i < CUTS ? below(random, wal.length) : wal.length);
    if (i >= CUTS) flip(copy, random);
    results[openDamaged({ database, wal: copy }, check)]++;
  }
  console.log(JSON.stringify({ ...results, prefixes: seen.size, of: states.size }));
  assert(seen.size > states.size / 2);
});

Deno.test(`spool.open() on ${FLIPS} flipped databases loses only what it says, seed ${SEED}`, () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  for (let i = 0; i < 20; i++) {
    const packets = makePackets(6, `${i}-`, 50 + (i % 4) * 9000);
    for (const packet of packets) BYTES.set(packet.id, packetBytes(packet));
    settle(spool, put(spool, packets).slice(0, i % 6));
  }
  const whole = idsOf(loadAll(spool));
  spool.close();
  const database = Deno.readFileSync(`${folder.path}/spool.db`);
  const random = seededRandom(SEED);
  const results = { kept: 0, "set aside": 0, lossy: 0, lost: 0, untold: 0 };
  for (let i = 0; i < FLIPS; i++) {
    const copy = database.slice();
    flip(copy, random);
    results[
      openDamaged({ database: copy }, (state, lost) => {
        const [ids] = JSON.parse(state) as [string[]];
        const missing = whole.filter((id) => !ids.includes(id)).length;
        if (lost > 0) results.lossy++;
        results.lost += lost;
        if (missing > lost) results.untold++;
        for (const id of ids) assert(BYTES.has(id));
      })
    ]++;
  }
  console.log(JSON.stringify(results));
  assert(results.lossy > 0);
  assertEquals(results.untold, 0);
});

Deno.test("spool.open() sets aside what is no database, with its log, and begins anew", () => {
  using folder = new TempFolder();
  Deno.writeTextFileSync(`${folder.path}/spool.db`, "nonsense ".repeat(5000));
  Deno.writeTextFileSync(`${folder.path}/spool.db-wal`, "more");
  const spool = openSpool(folder.path);
  assertEquals(spool.setAside.length, 2);
  assertEquals(Deno.readTextFileSync(spool.setAside[1]!), "more");
  assertEquals(`${spool.setAside[0]}-wal`, spool.setAside[1]);
  assertEquals([spool.found.packets, loadAll(spool)], [0, []]);
  spool.close();
  openSpool(folder.path).close();
});

Deno.test("spool.load() puts a damaged group aside as a file, counts it, and reads the next", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  const refs = put(spool, makePackets(4, "a"));
  settle(spool, refs.slice(0, 1));
  put(spool, makePackets(2, "b"));
  spool.close();
  const database = Deno.readFileSync(`${folder.path}/spool.db`);
  const at = new TextDecoder("latin1").decode(database).indexOf('"packet_id":"a2"');
  database[at + 2]! ^= 4;
  Deno.writeFileSync(`${folder.path}/spool.db`, database);

  const log = createMemoryLog();
  const again = openSpool(folder.path, { log, maxBytes: MAX_BYTES });
  const [damaged, sound] = again.load({ afterGroup: 0, maxBytes: 1 << 20 });
  assertEquals([damaged!.packets, damaged!.lost!.packets, again.lost.packets], [[], 3, 3]);
  assertEquals(idsOf(sound!.packets), ["b0", "b1"]);
  assertEquals(log.entries.map(({ level }) => level), ["error"]);
  const text = Deno.readTextFileSync(`${folder.path}/corrupt-group-1.bin`);
  assert(text.includes('"packet_id":"a3"'));
  assertThrows(() => settle(again, [refs[1]!]), Error, "there is no such group");
  again.close();
  const third = openSpool(folder.path);
  assertEquals([third.found.packets, idsOf(loadAll(third))], [2, ["b0", "b1"]]);
  third.close();
});
