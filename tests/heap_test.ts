import { assertEquals } from "@std/assert";
import { Heap } from "../src/heap.ts";
import { seededRandom } from "../src/random.ts";

Deno.test("heap.pop() gives the values by their keys, the smallest first", () => {
  const random = seededRandom(1);
  const heap = new Heap<string>();
  const sorted: number[] = [];
  for (let step = 0; step < 20_000; step++) {
    if (random() < 0.55) {
      // Few different keys, so that many are equal.
      const key = Math.floor(random() * 500) - 100;
      heap.push(key, `value of ${key}`);
      sorted.push(key);
      if (sorted.length % 64 === 0) sorted.sort((a, b) => a - b);
    } else {
      sorted.sort((a, b) => a - b);
      const key = sorted.shift();
      assertEquals(heap.peekKey(), key);
      assertEquals(heap.pop(), key === undefined ? undefined : `value of ${key}`);
    }
    assertEquals(heap.size, sorted.length);
  }
});

Deno.test("heap is empty at first, after the last pop, and after clear()", () => {
  const heap = new Heap<number>();
  for (let round = 0; round < 3; round++) {
    assertEquals([heap.size, heap.peekKey(), heap.pop()], [0, undefined, undefined]);
    heap.push(1, 1);
    if (round === 1) heap.clear();
    else assertEquals(heap.pop(), 1);
  }
});

Deno.test("heap orders infinite and fractional keys", () => {
  const heap = new Heap<string>();
  for (const key of [0.5, Infinity, -Infinity, 0.25, 1e308]) heap.push(key, String(key));
  const order = Array.from({ length: 5 }, () => heap.pop());
  assertEquals(order, ["-Infinity", "0.25", "0.5", "1e+308", "Infinity"]);
});
