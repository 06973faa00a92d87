import { assert, assertEquals } from "@std/assert";
import { LineWriter } from "../src/line_writer.ts";
import { eventually } from "./support/eventually.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** A stream whose reader a test holds up; it takes a few bytes at a time. */
function setUp() {
  const clock = new FakeClock();
  let read = "";
  let gate = Promise.withResolvers<void>();
  let isOpen = true;
  let fault: Error | undefined;
  const writer = new LineWriter({
    async write(bytes) {
      if (!isOpen) await gate.promise;
      if (fault) throw fault;
      const part = bytes.subarray(0, 1000);
      read += new TextDecoder().decode(part);
      return part.length;
    },
    describeDropped: (lines) => `dropped ${lines}`,
    clock,
  });
  return {
    clock,
    writer,
    lines: () => read.split("\n").slice(0, -1),
    stop: () => {
      isOpen = false;
      gate = Promise.withResolvers();
    },
    resume: () => {
      isOpen = true;
      gate.resolve();
    },
    fail: (error: Error) => fault = error,
  };
}

Deno.test("lineWriter writes whole lines in order, however little is taken at a time", async () => {
  const { writer, lines } = setUp();
  const long = "x".repeat(2500);
  for (const line of ["a", long, "b"]) writer.write(line);
  await writer.end(1000);
  assertEquals(lines(), ["a", long, "b"]);
  writer.write("c");
  await writer.end(1000);
  assertEquals(lines().at(-1), "c");
});

Deno.test("lineWriter never waits for a reader, keeps a bounded part, and tells of the rest", async () => {
  const { writer, lines, stop, resume } = setUp();
  stop();
  for (let i = 0; i < 30_000; i++) writer.write(`line ${i} ${"x".repeat(80)}`);
  resume();
  await writer.end(1000);
  await eventually(() => lines().at(-1)!.startsWith("dropped "), { name: "it is told" });
  const dropped = Number(lines().at(-1)!.slice("dropped ".length));
  assertEquals(lines().length - 1 + dropped, 30_000);
  assert(dropped > 10_000 && dropped < 25_000, `${dropped} were dropped`);
  assert(lines()[0]!.startsWith("line 0 "));
  writer.write("again");
  await writer.end(1000);
  assertEquals(lines().at(-1), "again");
});

Deno.test("lineWriter.end() does not wait longer than it is told to", async () => {
  const { clock, writer, stop, resume } = setUp();
  stop();
  writer.write("a");
  let ended = false;
  const end = writer.end(500).then(() => ended = true);
  clock.advance(499);
  await new Promise((resolve) => setTimeout(resolve));
  assert(!ended);
  clock.advance(1);
  await end;
  resume();
  await writer.end(1000);
  assertEquals(clock.timers, 0);
});

Deno.test("lineWriter outlives its reader", async () => {
  const { writer, lines, fail } = setUp();
  fail(new Deno.errors.BrokenPipe("gone"));
  writer.write("a");
  await writer.end(1000);
  assertEquals(lines(), []);
});
