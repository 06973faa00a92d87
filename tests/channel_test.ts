import { assert, assertEquals } from "@std/assert";
import { Channel } from "../src/channel.ts";
import { seededRandom } from "../src/random.ts";

function pollAll<T>(channel: Channel<T>): T[] {
  const items: T[] = [];
  for (let item = channel.poll(); item !== undefined; item = channel.poll()) items.push(item);
  return items;
}

async function readAll<T>(channel: Channel<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of channel) items.push(item);
  return items;
}

Deno.test("channel.offer() lets in up to the capacity, in order, and then says no", () => {
  const channel = new Channel<number>(3);
  assertEquals([1, 2, 3, 4].map((item) => channel.offer(item)), [true, true, true, false]);
  assertEquals(channel.depth, 3);
  assertEquals(channel.poll(), 1);
  assert(channel.offer(5));
  assertEquals(pollAll(channel), [2, 3, 5]);
  assertEquals(channel.depth, 0);
});

Deno.test("channel.putBack() takes beyond the capacity and hands out first, the last one first", () => {
  const channel = new Channel<number>(3);
  [1, 2].forEach((item) => channel.offer(item));
  channel.putBack(8);
  assert(!channel.offer(3), "what was put back counts");
  channel.putBack(9);
  assertEquals(channel.depth, 4);
  assertEquals(pollAll(channel), [9, 8, 1, 2]);
});

Deno.test("channel.take() waits for an item and gives each to exactly one reader", async () => {
  const channel = new Channel<number>(1);
  const taken = [channel.take(), channel.take()];
  assert(channel.offer(1));
  channel.putBack(2);
  assertEquals((await Promise.all(taken)).sort(), [1, 2]);
  assertEquals(channel.depth, 0, "a reader that waits is served before the buffer");
});

Deno.test("channel.close() lets nothing in, and readers get what is left", async () => {
  const channel = new Channel<number>(9);
  [1, 2].forEach((item) => channel.offer(item));
  channel.close();
  assert(!channel.offer(3));
  channel.putBack(4);
  assertEquals(await readAll(channel), [4, 1, 2]);
  assertEquals(await channel.take(), undefined);
  channel.close();
});

Deno.test("channel.close() ends the readers that wait", async () => {
  const channel = new Channel<number>(9);
  const readers = [readAll(channel), readAll(channel)];
  channel.close();
  assertEquals(await Promise.all(readers), [[], []]);
});

Deno.test("channel loses, doubles and reorders nothing, with many readers and any load", async () => {
  const random = seededRandom(1);
  const channel = new Channel<number>(2000);
  const readers = Array.from({ length: 5 }, () => readAll(channel));
  const alone = new Channel<number>(2000);
  const polled: number[] = [];
  for (let item = 0; item < 20_000;) {
    const burst = Math.floor(random() * 1500);
    for (let i = 0; i < burst && item < 20_000; i++, item++) {
      assert(channel.offer(item) && alone.offer(item));
    }
    polled.push(...pollAll(alone));
    while (channel.depth > 0) await Promise.resolve();
  }
  channel.close();
  const read = await Promise.all(readers);
  const all = Array.from({ length: 20_000 }, (_, item) => item);
  assertEquals(polled, all);
  assertEquals(read.flat().sort((a, b) => a - b), all);
});

Deno.test("channel keeps its order while it is never empty and its spent cells are dropped", () => {
  const channel = new Channel<number>(5000);
  let next = 0;
  let expected = 0;
  while (next < 3000) channel.offer(next++);
  for (let i = 0; i < 20_000; i++) {
    assert(channel.offer(next++));
    assertEquals(channel.poll(), expected++);
  }
  assertEquals(channel.depth, 3000);
});
