/** `distributor top` over a stream that was recorded: four analyzers, the second of them out. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Snapshot } from "../src/dashboard/snapshot.ts";
import { readEvents } from "../src/top/events.ts";
import { type TopDoors, watchTop } from "../src/top/watch.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { startProgram } from "./support/program.ts";
import { eventually, startSystem } from "./support/system.ts";

const RECORDED = Deno.readFileSync(new URL("data/events.txt", import.meta.url));

/** The recorded bytes in pieces of a size, so that events are cut anywhere. */
function replay(size: number): Response {
  const pieces = Array.from(
    { length: Math.ceil(RECORDED.length / size) },
    (_, i) => RECORDED.slice(i * size, (i + 1) * size),
  );
  return new Response(ReadableStream.from(pieces));
}

function setUp(options: Partial<TopDoors> = {}): { doors: TopDoors; written: () => string } {
  let written = "";
  return {
    doors: {
      source: "http://there:8080",
      open: () => Promise.resolve(replay(1000)),
      isTerminal: false,
      look: () => ({ columns: 120, rows: 40, color: false }),
      write: (text) => written += text,
      clock: new FakeClock(),
      ...options,
    },
    written: () => written,
  };
}

Deno.test("readEvents() finds the same events however the stream is cut", async () => {
  const whole = await Array.fromAsync(readEvents(replay(1e6).body!));
  assertEquals(whole[0]?.name, "history");
  assert(whole.length >= 3);
  assertEquals(await Array.fromAsync(readEvents(replay(7).body!)), whole);
});

Deno.test("top draws one picture where there is no terminal", async () => {
  const { doors, written } = setUp();
  await watchTop(doors);
  const lines = written().split("\n");
  assertMatch(lines[0]!, /^distributor \S+ at http:\/\/there:8080, up \d+ s, kept in memory$/);
  assertMatch(
    lines[1]!,
    /^accepted [\d,]+ messages\/s \([\d,]+ packets\/s\) {2}delivered [\d,]+ messages\/s$/,
  );
  assertMatch(
    lines[2]!,
    /^refused 0 packets\/s {2}delivered within p50 \S+ p99 \S+ {2}202 within p99 /,
  );
  assertMatch(
    lines[3]!,
    /^queue \d+ of 10.0k packets, 0 on disk {2}dead letters 0 {2}retries \d+ /,
  );
  assertMatch(written(), /^balances: [\d,]+ packets accepted = [\d,]+ delivered .* in flight$/m);
  for (const id of ["analyzer1", "analyzer3", "analyzer4"]) {
    assertMatch(written(), new RegExp(`^${id} +● healthy `, "m"));
  }
  assertMatch(written(), /^analyzer2 +✕ out +0\.0% /m);
  assertMatch(written(), /^warning: out: analyzer2, 3 connect failures in a row$/m);
  assertMatch(written(), /^analyzer2: 3 connect failures in a row, for \d+ s$/m);
  // deno-lint-ignore no-control-regex
  assert(!/\x1b/.test(written()), "no colours");
});

Deno.test("top shows the shares that the API does, over the same time", async () => {
  const { doors, written } = setUp();
  await watchTop(doors);
  const events = await Array.fromAsync(readEvents(replay(1e6).body!));
  const { state } = events.find(({ name }) => name === "snapshot")!.data as Snapshot;
  assertMatch(written(), /^analyzer +state +target actual in 60 s /m);
  for (const { id, share } of state.analyzers) {
    const [target, actual] = [share.target, share.actual].map((part) => (part * 100).toFixed(1));
    assertMatch(written(), new RegExp(`^${id} +\\S+ \\w+ +${target}% +${actual}% `, "m"));
    assertEquals(share.window_seconds, 60);
  }
});

Deno.test("top draws within the terminal, in place, and comes back to a stream that ended", async () => {
  const clock = new FakeClock();
  let opened = 0;
  const enough = Promise.withResolvers<Response>();
  const { doors, written } = setUp({
    clock,
    isTerminal: true,
    look: () => ({ columns: 60, rows: 8, color: true }),
    open: () => {
      opened++;
      return opened < 3 ? Promise.resolve(replay(1e6)) : enough.promise;
    },
  });
  void watchTop(doors);
  await eventually(() => {
    clock.advance(1000);
    return opened === 3;
  }, { name: "it has come back twice", everyMs: 1 });
  assertMatch(written(), /Cannot watch http:\/\/there:8080: the stream has ended/);
  const pictures = written().split("\x1b[H").slice(1)
    // deno-lint-ignore no-control-regex
    .map((text) => text.replace(/\x1b\[\d*\w/g, ""));
  for (const picture of pictures) {
    const lines = picture.trimEnd().split("\n");
    assert(lines.length <= 8);
    for (const line of lines) assert([...line].length <= 62, line);
  }
});

Deno.test("top leaves out what is worth least where the terminal is narrow, and cuts nothing else", async () => {
  for (
    const [columns, header] of [
      [80, /^analyzer {2}state {8}target actual {3}weight {3}msg\/s {2}flight {2}failed {5}p99$/m],
      [64, /^analyzer {2}state {8}target actual {4}msg\/s {2}failed {5}p99$/m],
    ] as const
  ) {
    const { doors, written } = setUp({ look: () => ({ columns, rows: 40, color: false }) });
    await watchTop(doors);
    for (const line of written().split("\n")) assert([...line].length <= columns, line);
    assertMatch(written(), header);
    assertMatch(written(), /\+ \d+ in flight$/m);
    assertMatch(written(), /loop late \S+$/m);
  }
});

Deno.test("top says how much of the picture does not fit", async () => {
  const { doors, written } = setUp({ look: () => ({ columns: 120, rows: 9, color: false }) });
  await watchTop(doors);
  const lines = written().trimEnd().split("\n");
  assertEquals(lines.length, 9);
  assertEquals(lines.at(-1), "… 6 more lines");
});

Deno.test("top says so when the stream falls silent, and when nobody answers at all", async () => {
  const answers = [
    () => Promise.resolve(new Response(RECORDED.subarray(0, 100))),
    (signal: AbortSignal) =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            start(stream) {
              stream.enqueue(RECORDED);
              signal.addEventListener("abort", () => stream.error(signal.reason));
            },
          }),
        ),
      ),
    (signal: AbortSignal) =>
      new Promise<Response>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  ];
  const clock = new FakeClock();
  const enough = Promise.withResolvers<Response>();
  let opened = 0;
  const { doors, written } = setUp({
    clock,
    isTerminal: true,
    open: (_url, signal) => answers[opened++]?.(signal) ?? enough.promise,
  });
  void watchTop(doors);
  await eventually(() => {
    clock.advance(1000);
    return opened === 4;
  }, { name: "it has come back three times", everyMs: 1 });
  // deno-lint-ignore no-control-regex
  const told = written().match(/Cannot watch http:\/\/there:8080: [^\x1b]*/g);
  assertEquals(told?.map((text) => text.split("8080: ")[1]), [
    "the stream has ended",
    "it has said nothing for 5 s",
    "it has said nothing for 5 s",
  ]);
});

Deno.test("top says why it cannot watch", async () => {
  const refused = setUp({ open: () => Promise.resolve(new Response("", { status: 503 })) });
  await assertRejects(
    () => watchTop(refused.doors),
    Error,
    "Cannot watch http://there:8080: it answers 503",
  );
  const rows = [
    ["tcp connect error: Connection refused (os error 111)", "connection refused: is the"],
    ["tcp connect error: Connection refused (os error 61)", "connection refused: is the"],
    ["tcp connect error: No connection could be made (os error 10061)", "connection refused: is"],
    ["dns error: failed to lookup address information", "dns error: failed to lookup"],
  ];
  for (const [cause, said] of rows) {
    const text =
      `error sending request for url (http://there:8080/): client error (Connect): ${cause}`;
    const error = new TypeError("fetch failed", { cause: new Error(text) });
    const { doors } = setUp({ open: () => Promise.reject(error) });
    await assertRejects(() => watchTop(doors), Error, `Cannot watch http://there:8080: ${said}`);
  }
});

Deno.test("distributor top URL shows a distributor that runs, and fails where there is none", async () => {
  const system = await startSystem({ weights: [1] });
  const shown = startProgram("distributor", ["top", system.url]);
  assertEquals((await shown.exits()).code, 0, shown.stderr.join("\n"));
  assertMatch(shown.stdout.join("\n"), /^analyzer1 +● healthy/m);
  await system.stop();
  const failed = startProgram("distributor", ["top", system.url]);
  assertEquals((await failed.exits()).code, 1);
  assertEquals(failed.stderr, [
    `distributor: Cannot watch ${system.url}: connection refused: is the distributor running there?`,
  ]);
});

Deno.test("distributor top takes a URL or host:port, and refuses anything else as a fault of usage", async () => {
  const system = await startSystem({ weights: [1] });
  const { port } = new URL(system.url);
  for (const where of [`127.0.0.1:${port}`, `:${port}`, `${system.url}/`]) {
    const shown = startProgram("distributor", ["top", where]);
    assertEquals((await shown.exits()).code, 0, shown.stderr.join("\n"));
  }
  await system.stop();
  for (const where of ["foo", "ftp://there", "http://", "there:99999"]) {
    const refused = startProgram("distributor", ["top", where]);
    assertEquals((await refused.exits()).code, 2, where);
    assertEquals(refused.stderr, [
      `distributor: Invalid value ${JSON.stringify(where)} for top: ` +
      "allowed is a URL such as http://localhost:8080, or host:port",
    ]);
  }
});
