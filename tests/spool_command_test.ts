import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../src/errors.ts";
import { packetBytes } from "../src/packet.ts";
import { StorageError } from "../src/queue/spool.ts";
import { runSpoolCommand } from "../src/spool_command.ts";
import { startProgram } from "./support/program.ts";
import {
  bury,
  deadRow,
  makePacket,
  makePackets,
  openSpool,
  put,
  settle,
  TempFolder,
} from "./support/spools.ts";

interface Result {
  readonly code: number;
  readonly text: string;
  readonly told: readonly string[];
}

function run(verb: string, folder: string, options: { withDead?: boolean } = {}): Result {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const told: string[] = [];
  const code = runSpoolCommand([verb], {
    folder,
    withDead: options.withDead ?? false,
    write: (bytes) => void chunks.push(bytes.slice()),
    tell: (line) => void told.push(line),
  });
  const all = chunks.flatMap((chunk) => [...chunk]);
  return { code, text: new TextDecoder().decode(new Uint8Array(all)), told };
}

const PACKETS = [...makePackets(4), { ...makePacket("many"), multiline: true }];
PACKETS[4]!.body[0] = 0x0a;

/** Five packets: one settled, one dead; as a killed process leaves it, or as a closed one. */
function fill(folder: TempFolder, how: "killed" | "closed"): void {
  using own = new TempFolder();
  const spool = openSpool(own.path);
  const refs = put(spool, PACKETS);
  settle(spool, [refs[0]!]);
  bury(spool, [deadRow(refs[1]!, PACKETS[1]!)]);
  if (how === "killed") own.copyTo(folder.path);
  spool.close();
  if (how === "closed") own.copyTo(folder.path);
}

/** Names, bytes and times of all files. */
function snapshot(folder: TempFolder): unknown {
  return folder.files().map((name) => {
    const path = `${folder.path}/${name}`;
    return [name, Deno.statSync(path).mtime, Deno.readFileSync(path)];
  });
}

function lineOf(packet: typeof PACKETS[number]): string {
  return `${new TextDecoder().decode(packetBytes(packet)).replaceAll("\n", " ")}\n`;
}

for (const how of ["killed", "closed"] as const) {
  Deno.test(`spool export writes what is not settled of a ${how} spool, and touches nothing`, () => {
    using folder = new TempFolder();
    fill(folder, how);
    const before = snapshot(folder);
    const packets = [2, 3, 4].map((i) => lineOf(PACKETS[i]!)).join("");
    assertEquals(run("export", folder.path), { code: 0, text: packets, told: [] });
    const { text } = run("export", folder.path, { withDead: true });
    assertEquals(text, packets + lineOf(PACKETS[1]!));
    assertEquals(snapshot(folder), before);
  });

  Deno.test(`spool check finds a ${how} spool clean, counts it, and touches nothing`, () => {
    using folder = new TempFolder();
    fill(folder, how);
    const before = snapshot(folder);
    const { code, text } = run("check", folder.path);
    assertEquals(code, 0, text);
    assertStringIncludes(text, "packets: 3 in 1 groups, 3 messages");
    assertStringIncludes(text, "dead letters: 1, 1 messages");
    assert(text.endsWith("clean\n"));
    assertEquals(snapshot(folder), before);
  });
}

Deno.test("spool check tells of a damaged group, export leaves it out and says so", () => {
  using folder = new TempFolder();
  fill(folder, "closed");
  const path = `${folder.path}/spool.db`;
  const database = Deno.readFileSync(path);
  const at = new TextDecoder("latin1").decode(database).indexOf('"packet_id":"p3"');
  database[at + 3]! ^= 1;
  Deno.writeFileSync(path, database);
  const before = snapshot(folder);
  const { code, text } = run("check", folder.path);
  assertEquals(code, 1);
  assertStringIncludes(text, "finding: group 1 is damaged, with 3 packets\n1 findings\n");
  const told = ["group 1 is damaged: 3 packets are left out"];
  assertEquals(run("export", folder.path), { code: 1, text: "", told });
  assertEquals(snapshot(folder), before);
});

Deno.test("spool check and export say what becomes of a database that cannot be read", () => {
  using folder = new TempFolder();
  fill(folder, "closed");
  const path = `${folder.path}/spool.db`;
  const database = Deno.readFileSync(path);
  database.fill(0xff, 100, 123);
  Deno.writeFileSync(path, database);
  for (const verb of ["check", "export"]) {
    assertThrows(
      () => run(verb, folder.path),
      StorageError,
      "the next start of the distributor sets it aside",
    );
  }
});

Deno.test("spool check says that nothing was ever kept where the first start was cut short", () => {
  using folder = new TempFolder();
  Deno.writeFileSync(`${folder.path}/spool.db`, new Uint8Array());
  const check = () => run("check", folder.path);
  assertThrows(check, StorageError, "nothing was ever kept in it");
});

Deno.test("spool export leaves a log alone that holds not one transaction", () => {
  using folder = new TempFolder();
  fill(folder, "closed");
  Deno.writeFileSync(`${folder.path}/spool.db-wal`, new Uint8Array(20_000).fill(7));
  const before = snapshot(folder);
  assertEquals(run("export", folder.path).code, 0);
  assertEquals(snapshot(folder), before);
});

Deno.test("spool check and export refuse a folder in use, and one without a spool", () => {
  using folder = new TempFolder();
  const spool = openSpool(folder.path);
  put(spool, PACKETS);
  for (const verb of ["check", "export"]) {
    const error = assertThrows(() => run(verb, folder.path), StorageError);
    assertEquals(error.kind, "locked");
  }
  spool.close();
  assertEquals(run("check", folder.path).code, 0);
  for (const path of [`${folder.path}/none`, "/proc"]) {
    assertThrows(() => run("export", path), StorageError, "there is no spool in it");
  }
});

Deno.test("spool takes check and export and no other word", () => {
  const doors = { folder: "x", withDead: false, write() {}, tell() {} };
  for (const words of [[], ["other"], ["check", "more"]]) {
    assertThrows(() => runSpoolCommand(words, doors), UsageError);
  }
});

Deno.test("distributor spool export and check run as programs, with exit codes", async () => {
  using folder = new TempFolder();
  fill(folder, "closed");
  const exporting = startProgram("distributor", ["spool", "export", "--data-dir", folder.path]);
  assertEquals((await exporting.exits()).code, 0);
  assertEquals(exporting.stdout.length, 3);
  const spool = openSpool(folder.path);
  assertEquals([spool.found.packets, spool.dead.totals().packets], [3, 1]);
  spool.close();
  const checking = startProgram("distributor", [
    "spool",
    "check",
    `--data-dir=${folder.path}/none`,
  ]);
  assertEquals((await checking.exits()).code, 1);
  assertStringIncludes(checking.stderr.join("\n"), "there is no spool in it");
  const wrong = startProgram("distributor", ["spool", "mend"]);
  assertEquals((await wrong.exits()).code, 2);
});
