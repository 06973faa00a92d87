/** A disk that is full, or read-only: a small tmpfs, where one can be mounted. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type PacketRef, type Spool, StorageError } from "../src/queue/spool.ts";
import { FakeClock } from "./support/fake_clock.ts";
import {
  bury,
  deadRow,
  idsOf,
  loadAll,
  makePackets,
  openSpool,
  put,
  settle,
} from "./support/spools.ts";

/** A file system of its own; undefined where mounting is not allowed, and says so. */
function mountTmpfs(
  options: string,
): { path: string; remount: (how: string) => void } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "spool_tmpfs_" });
  const { success, stderr } = mount(["-t", "tmpfs", "-o", options, "tmpfs", path]);
  if (!success) {
    Deno.removeSync(path);
    throw new Error(new TextDecoder().decode(stderr).trim());
  }
  return {
    path,
    remount: (how) => void mount(["-o", `remount,${how}`, path]),
    [Symbol.dispose]() {
      new Deno.Command("umount", { args: [path] }).outputSync();
      Deno.removeSync(path);
    },
  };
}

function mount(args: string[]): Deno.CommandOutput {
  return new Deno.Command("mount", { args }).outputSync();
}

const reason = whyNotMountable();
if (reason) console.log(`tests of a full disk are left out, a tmpfs cannot be mounted: ${reason}`);

function whyNotMountable(): string | undefined {
  try {
    mountTmpfs("size=1m")[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Puts in groups until there is no room. */
function fillUp(spool: Spool): { kept: PacketRef[][]; error: StorageError } {
  const kept: PacketRef[][] = [];
  for (;;) {
    try {
      kept.push(put(spool, makePackets(8, `${kept.length}-`, 20_000)));
    } catch (error) {
      assert(error instanceof StorageError, String(error));
      return { kept, error };
    }
  }
}

Deno.test({
  name: "spool.commit() on a full disk settles and buries, and takes packets once there is room",
  ignore: reason !== undefined,
  fn() {
    using disk = mountTmpfs("size=64m");
    const clock = new FakeClock();
    const folder = `${disk.path}/data`;
    const spool = openSpool(folder, { clock, maxBytes: 4 * 2 ** 30 });
    const { kept, error } = fillUp(spool);
    assertEquals([error.kind, spool.hasRoom()], ["full", false]);
    assert(kept.length > 100, `${kept.length}`);
    clock.advance(1000);
    assertEquals(spool.hasRoom(), false);

    const packets = makePackets(8, "0-", 20_000);
    bury(spool, kept[0]!.map((ref, i) => deadRow(ref, packets[i]!)));
    for (const refs of kept.slice(1, 30)) settle(spool, refs.slice(0, 5));
    for (const refs of kept.slice(1, 30)) settle(spool, refs.slice(5));
    assertEquals(spool.dead.totals().packets, 8);
    assertEquals(loadAll(spool).length, (kept.length - 30) * 8);

    disk.remount("size=96m");
    clock.advance(1000);
    assertEquals(spool.hasRoom(100_000), true);
    put(spool, makePackets(8, "again", 20_000));
    spool.close();
    const again = openSpool(folder, { clock, maxBytes: 4 * 2 ** 30 });
    assertEquals([again.found.packets, again.setAside], [(kept.length - 29) * 8, []]);
    assertEquals(idsOf(loadAll(again)).at(-1), "again7");
    again.close();
  },
});

Deno.test({
  name: "spool.commit() survives a disk that others fill to the brim",
  ignore: reason !== undefined,
  fn() {
    using disk = mountTmpfs("size=64m");
    const clock = new FakeClock();
    const spool = openSpool(`${disk.path}/data`, { clock });
    const refs = [
      put(spool, makePackets(100, "a", 10_000)),
      put(spool, makePackets(100, "b", 10_000)),
    ];
    const brim = `${disk.path}/brim`;
    assertThrows(() => Deno.writeFileSync(brim, new Uint8Array(64 << 20)));
    const { error } = fillUp(spool);
    assertEquals(error.kind, "full");
    settle(spool, refs[0]!);
    const held = idsOf(loadAll(spool));
    Deno.removeSync(brim);
    clock.advance(250);
    assert(spool.hasRoom(1 << 20));
    put(spool, makePackets(1, "c"));
    assertEquals(idsOf(loadAll(spool)), [...held, "c0"]);
    spool.close();
  },
});

Deno.test({
  name: "spool.open() refuses a read-only folder with what to do",
  ignore: reason !== undefined,
  fn() {
    using disk = mountTmpfs("size=8m");
    for (const path of [disk.path, `${disk.path}/new`]) {
      disk.remount("ro");
      const error = assertThrows(() => openSpool(path), StorageError, "--data-dir");
      assertEquals([error.kind, error.message.includes("\n")], ["unusable", false]);
      disk.remount("rw");
    }
    openSpool(disk.path, { maxBytes: 1 << 20 }).close();
    disk.remount("ro");
    assertEquals(assertThrows(() => openSpool(disk.path), StorageError).kind, "unusable");
  },
});

Deno.test({
  name: "spool opens on a full disk, by the room of its ballast, and gives back what it has",
  ignore: reason !== undefined,
  fn() {
    using disk = mountTmpfs("size=40m");
    const folder = `${disk.path}/data`;
    const before = openSpool(folder, { maxBytes: 4 * 2 ** 30 });
    put(before, makePackets(3, "kept-"));
    before.close();
    using filler = Deno.openSync(`${disk.path}/filler`, { write: true, create: true });
    const chunk = new Uint8Array(1 << 20);
    assertThrows(() => {
      for (;;) filler.writeSync(chunk);
    });
    const after = openSpool(folder, { maxBytes: 4 * 2 ** 30 });
    assertEquals(after.found.packets, 3);
    // The first write finds the disk full, gives the ballast's room up, and then goes through.
    const error = assertThrows(() => settle(after, loadAll(after)), StorageError);
    assertEquals([error.kind, error.settled, loadAll(after).length], ["full", true, 0]);
    after.close();
  },
});
