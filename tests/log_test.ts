import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  createLog,
  type Log,
  type LogOptions,
  MAX_LINES_PER_WINDOW,
  MAX_TEXT_LENGTH,
  MAX_WINDOWS,
  WINDOW_MS,
} from "../src/log.ts";

import { FakeClock } from "./support/fake_clock.ts";

interface Setup {
  readonly log: Log;
  readonly lines: string[];
  readonly clock: FakeClock;
}

function setup(options: Partial<LogOptions> = {}): Setup {
  const lines: string[] = [];
  const clock = new FakeClock();
  const log = createLog({
    format: "json",
    level: "info",
    isTerminal: false,
    noColor: false,
    write: (line) => lines.push(line),
    clock,
    ...options,
  });
  return { log, lines, clock };
}

Deno.test("log.info() writes one JSON object: time, level, event, then the fields", () => {
  const { log, lines } = setup();
  log.info("analyzer ejected", { analyzer: "analyzer2", failures: 3 });
  assertEquals(lines, [
    '{"time":"2024-01-02T03:04:05.678Z","level":"info","event":"analyzer ejected",' +
    '"analyzer":"analyzer2","failures":3}',
  ]);
});

Deno.test("log.info() writes readable text on a terminal, coloured", () => {
  const { log, lines } = setup({ format: "auto", isTerminal: true });
  log.info("analyzer ejected", {
    analyzer: "analyzer2",
    reason: "connection refused",
    weight: 0.4,
  });
  assertEquals(lines, [
    "03:04:05.678 \x1b[32mINFO \x1b[0m analyzer ejected " +
    'analyzer=analyzer2 reason="connection refused" weight=0.4',
  ]);
});

Deno.test("createLog() colours nothing under NO_COLOR, nor where text goes to a file", () => {
  for (const options of [{ isTerminal: true, noColor: true }, { isTerminal: false }]) {
    const { log, lines } = setup({ format: "text", ...options });
    log.warn("queue full");
    assertEquals(lines, ["03:04:05.678 WARN  queue full"]);
  }
});

Deno.test("createLog() takes JSON for auto where there is no terminal", () => {
  const { log, lines } = setup({ format: "auto" });
  log.error("spool lost");
  assertEquals(JSON.parse(lines[0]!).level, "error");
});

Deno.test("log writes its level and above", () => {
  const cases = [
    { level: "debug", written: ["debug", "info", "warn", "error"] },
    { level: "info", written: ["info", "warn", "error"] },
    { level: "warn", written: ["warn", "error"] },
    { level: "error", written: ["error"] },
  ] as const;
  for (const { level, written } of cases) {
    const { log, lines } = setup({ level });
    for (const name of ["debug", "info", "warn", "error"] as const) log[name]("probe done");
    assertEquals(lines.map((line) => JSON.parse(line).level), [...written], level);
  }
});

Deno.test("log escapes what could rewrite a terminal, in events, keys and values", () => {
  const evil = "a\x1b[2J\r\nb\x7f\x9b\u202e\u2028c";
  for (const format of ["json", "text"] as const) {
    const { log, lines } = setup({ format });
    log.info(evil, { [evil]: evil, deep: { [evil]: [evil] } });
    assertMatch(lines[0]!, /^[\x20-\x7e]*$/, format);
  }
  const { log, lines } = setup();
  log.info("request refused", { path: evil });
  assertEquals(JSON.parse(lines[0]!).path, evil);
});

Deno.test("log cuts long strings and never splits a character in two", () => {
  const { log, lines } = setup();
  log.info("request refused", {
    long: "x".repeat(10_000),
    pair: "x".repeat(MAX_TEXT_LENGTH - 1) + "😀",
    whole: "y".repeat(MAX_TEXT_LENGTH),
  });
  const { long, pair, whole } = JSON.parse(lines[0]!);
  assertEquals(long, `${"x".repeat(MAX_TEXT_LENGTH)}…`);
  assertEquals(pair, `${"x".repeat(MAX_TEXT_LENGTH - 1)}\ufffd…`);
  assertEquals(whole, "y".repeat(MAX_TEXT_LENGTH));
});

Deno.test("log writes values that JSON has no word for", () => {
  const cause = new Error("connection refused");
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const { log, lines } = setup();
  log.info("probe done", {
    big: 12345678901234567890n,
    nan: NaN,
    nothing: undefined,
    none: null,
    when: new Date(0),
    never: new Date(NaN),
    error: new TypeError("fetch failed", { cause }),
    many: Array.from({ length: 100 }, (_, i) => i),
    circle,
  });
  const fields = JSON.parse(lines[0]!);
  assertEquals(fields.big, "12345678901234567890");
  assertEquals(fields.nan, "NaN");
  assert(!("nothing" in fields));
  assertEquals(fields.none, null);
  assertEquals(fields.when, "1970-01-01T00:00:00.000Z");
  assertEquals(fields.never, null);
  assertEquals(fields.error, "TypeError: fetch failed: connection refused");
  assertEquals(fields.many.length, 32);
  assertStringIncludes(lines[0]!, '{"self":"…"}');
});

Deno.test("log lets no field replace time, level or event", () => {
  const { log, lines } = setup();
  log.info("analyzer added", { level: "error", time: 0, event: "x", id: "a" });
  const { level, event, id } = JSON.parse(lines[0]!);
  assertEquals({ level, event, id }, { level: "info", event: "analyzer added", id: "a" });
});

Deno.test("log never throws: a field that cannot be read, a reader that has gone", () => {
  const { log, lines } = setup();
  log.info("probe done", {
    get trap(): string {
      throw new Error("no");
    },
  });
  assertEquals(JSON.parse(lines[0]!).unreadable, "Error: no");
  const gone = setup({
    write() {
      throw new Deno.errors.BrokenPipe("gone");
    },
  });
  gone.log.info("probe done");
});

Deno.test("log folds a storm of one event and then tells how many it held back", () => {
  const { log, lines, clock } = setup();
  for (let i = 0; i < 100; i++) log.warn("delivery failed", { attempt: i });
  log.info("analyzer added");
  assertEquals(lines.length, MAX_LINES_PER_WINDOW + 1);

  clock.advance(WINDOW_MS);
  log.warn("delivery failed", { attempt: 100 });
  const last = lines.slice(-2).map((line) => JSON.parse(line));
  assertEquals(last[0].repeated, 100 - MAX_LINES_PER_WINDOW);
  assertEquals(last[0].event, "delivery failed");
  assertEquals(last[0].level, "warn");
  assertEquals(last[1].attempt, 100);
});

Deno.test("log tells of a past storm by itself, and sets no timer without one", () => {
  const { log, lines, clock } = setup();
  for (let i = 0; i < MAX_LINES_PER_WINDOW; i++) log.warn("delivery failed");
  assertEquals(clock.timers, 0);
  clock.advance(3000);
  log.warn("delivery failed");
  clock.advance(WINDOW_MS - 3001);
  assertEquals(lines.length, MAX_LINES_PER_WINDOW);
  clock.advance(2000);
  const { event, repeated, until } = JSON.parse(lines.at(-1)!);
  assertEquals([event, repeated, until], ["delivery failed", 1, "2024-01-02T03:04:08.678Z"]);
  assertEquals(clock.timers, 0);
});

Deno.test("log counts levels of one event apart, and nothing below its level", () => {
  const { log, lines } = setup();
  for (let i = 0; i < MAX_LINES_PER_WINDOW; i++) {
    log.debug("probe done");
    log.info("probe done");
    log.warn("probe done");
  }
  assertEquals(lines.length, 2 * MAX_LINES_PER_WINDOW);
});

Deno.test("log folds what is said of one id, and hides no other behind it", () => {
  const { log, lines, clock } = setup();
  for (let i = 0; i < 100; i++) {
    log.warn("analyzer ejected", { id: `a${i}` });
    log.warn("analyzer ejected", { id: "flapping" });
  }
  const ids = new Set(lines.map((line) => JSON.parse(line).id));
  assertEquals(ids.size, 101);
  assertEquals(lines.length, 100 + MAX_LINES_PER_WINDOW);
  clock.advance(WINDOW_MS);
  log.info("next");
  const { id, repeated, until, event } = JSON.parse(lines.at(-2)!);
  assertEquals([event, id, repeated], ["analyzer ejected", "flapping", 95]);
  assertMatch(until, /^\d{4}-/);
});

Deno.test("log tells a bounded number of ids apart", () => {
  const { log, lines } = setup();
  for (let i = 0; i < 2 * MAX_WINDOWS; i++) log.warn("analyzer ejected", { id: `a${i}` });
  assertEquals(lines.length, MAX_WINDOWS + MAX_LINES_PER_WINDOW);
});

Deno.test("log.end() tells what is folded, once", () => {
  const { log, lines, clock } = setup();
  for (let i = 0; i < 8; i++) log.info("analyzer added");
  void log.end();
  void log.end();
  assertEquals(clock.timers, 0);
  assertEquals(lines.length, MAX_LINES_PER_WINDOW + 1);
  assertEquals(JSON.parse(lines.at(-1)!).repeated, 3);
});

Deno.test("log.info() writes to stderr and not to stdout where no writer is given", async () => {
  const module = new URL("../src/log.ts", import.meta.url).href;
  const code = `import { createLog } from ${JSON.stringify(module)};
    createLog().info("x".repeat(100), { text: "é".repeat(200) });`;
  const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", ...profile, code],
    cwd: new URL("..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "");
  const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
  assertEquals(JSON.parse(lines.at(-1)!).text, "é".repeat(200));
});
