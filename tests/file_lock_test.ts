import { assert, assertEquals, assertThrows } from "@std/assert";
import { tryDatabaseLock, tryLock } from "../src/queue/file_lock.ts";

/** Both kinds of lock, since either may be what this Deno has. */
const KINDS = { "tryLock()": tryLock, "tryDatabaseLock()": tryDatabaseLock };

for (const [name, take] of Object.entries(KINDS)) {
  Deno.test(`file_lock.${name} is alone, or shared, and gone when closed`, () => {
    const folder = Deno.makeTempDirSync();
    const path = `${folder}/lock`;
    const alone = take(path, { exclusive: true });
    assert(alone);
    assertEquals(take(path, { exclusive: true }), undefined);
    assertEquals(take(path, { exclusive: false }), undefined);
    alone.close();
    const [one, other] = [take(path, { exclusive: false }), take(path, { exclusive: false })];
    assert(one && other);
    assertEquals(take(path, { exclusive: true }), undefined);
    one.close();
    other.close();
    take(path, { exclusive: true })!.close();
    assertEquals(Deno.statSync(path).size, 0);
    assertEquals([...Deno.readDirSync(folder)].length, 1, "no other file is left");
    Deno.removeSync(folder, { recursive: true });
  });
}

Deno.test("file_lock.tryLock() says that the file cannot be opened", () => {
  assertThrows(() => tryLock("/no/such/lock", { exclusive: true }), Deno.errors.NotFound);
});
