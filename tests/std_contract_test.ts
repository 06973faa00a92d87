/**
 * What we rely on in the std modules and Hono. The same tests run over the real modules and over
 * the stand-ins of npm_only/, whichever the profile maps, so that they cannot drift apart.
 */

import { Hono } from "@hono/hono";
import { streamSSE } from "@hono/hono/streaming";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertExists,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { ProgressBar } from "@std/cli/unstable-progress-bar";
import {
  type ServerSentEventMessage,
  ServerSentEventStream,
} from "@std/http/server-sent-event-stream";
import { STATUS_CODE, STATUS_TEXT } from "@std/http/status";
import { BaseHandler } from "@std/log/base-handler";
import type { LevelName } from "@std/log/levels";
import { Logger, type LogRecord } from "@std/log/logger";

/** Whether an assertion fails as an assertion; nothing of the tested module is used for it. */
function fails(fn: () => unknown): boolean {
  try {
    fn();
  } catch (error) {
    if (error instanceof AssertionError) return true;
    throw error;
  }
  return false;
}

async function rejects(fn: () => Promise<unknown>): Promise<boolean> {
  try {
    await fn();
  } catch (error) {
    if (error instanceof AssertionError) return true;
    throw error;
  }
  return false;
}

function holdTrue(facts: Record<string, boolean>): void {
  const wrong = Object.keys(facts).filter((name) => !facts[name]);
  if (wrong.length > 0) throw new Error(`Not so: ${wrong.join("; ")}`);
}

Deno.test("assert() and fail() throw an AssertionError with the message", () => {
  holdTrue({
    "true passes": !fails(() => assert(true)),
    "any truthy value passes": !fails(() => assert("x")),
    "false fails": fails(() => assert(false)),
    "an empty text fails": fails(() => assert("")),
    "fail fails": fails(() => fail("why")),
  });
  for (const fn of [() => assert(false, "why"), () => fail("why")]) {
    try {
      fn();
    } catch (error) {
      holdTrue({ "the message is there": (error as Error).message.includes("why") });
    }
  }
});

Deno.test("assertEquals() compares deeply, assertNotEquals() is its contrary", () => {
  const circle = (): unknown => {
    const value: Record<string, unknown> = { a: 1 };
    value.self = value;
    return value;
  };
  const rows: { name: string; a: unknown; b: unknown; equal: boolean }[] = [
    { name: "numbers", a: 1, b: 1, equal: true },
    { name: "a number and a text", a: 1, b: "1", equal: false },
    { name: "NaN", a: NaN, b: NaN, equal: true },
    { name: "big integers", a: 10n, b: 10n, equal: true },
    { name: "null and undefined", a: null, b: undefined, equal: false },
    { name: "objects in another order", a: { x: 1, y: [2] }, b: { y: [2], x: 1 }, equal: true },
    { name: "an undefined member", a: { x: undefined }, b: {}, equal: false },
    { name: "arrays", a: [1, [2, { z: 3 }]], b: [1, [2, { z: 3 }]], equal: true },
    { name: "arrays in another order", a: [1, 2], b: [2, 1], equal: false },
    { name: "an array and an object", a: [], b: {}, equal: false },
    { name: "maps", a: new Map([["k", { v: 1 }]]), b: new Map([["k", { v: 1 }]]), equal: true },
    { name: "differing maps", a: new Map([["k", 1]]), b: new Map([["k", 2]]), equal: false },
    { name: "sets in another order", a: new Set([1, 2]), b: new Set([2, 1]), equal: true },
    { name: "dates", a: new Date(1), b: new Date(1), equal: true },
    { name: "differing dates", a: new Date(1), b: new Date(2), equal: false },
    { name: "bytes", a: new Uint8Array([1, 2]), b: new Uint8Array([1, 2]), equal: true },
    { name: "differing bytes", a: new Uint8Array([1]), b: new Uint8Array([2]), equal: false },
    { name: "patterns", a: /a/g, b: /a/g, equal: true },
    { name: "differing patterns", a: /a/g, b: /a/, equal: false },
    { name: "frozen", a: Object.freeze({ a: 1 }), b: { a: 1 }, equal: true },
    { name: "a class and a plain object", a: new (class A {})(), b: {}, equal: false },
    { name: "circles", a: circle(), b: circle(), equal: true },
  ];
  for (const { name, a, b, equal } of rows) {
    holdTrue({
      [`assertEquals: ${name}`]: fails(() => assertEquals(a, b)) === !equal,
      [`assertNotEquals: ${name}`]: fails(() => assertNotEquals(a, b)) === equal,
    });
  }
});

Deno.test("assertStrictEquals() compares identity", () => {
  const value = {};
  holdTrue({
    "same object": !fails(() => assertStrictEquals(value, value)),
    "equal objects": fails(() => assertStrictEquals({}, {})),
    "NaN": !fails(() => assertStrictEquals(NaN, NaN)),
  });
});

Deno.test("the comparing assertions keep their bounds", () => {
  holdTrue({
    "almost, by default": !fails(() => assertAlmostEquals(1, 1 + 1e-8)),
    "not almost, by default": fails(() => assertAlmostEquals(1, 1 + 1e-6)),
    "almost, within": !fails(() => assertAlmostEquals(10, 10.5, 0.5)),
    "almost, beyond": fails(() => assertAlmostEquals(10, 10.6, 0.5)),
    "almost, NaN": fails(() => assertAlmostEquals(NaN, 1, 10)),
    "greater": !fails(() => assertGreater(2, 1)) && fails(() => assertGreater(1, 1)),
    "at least": !fails(() => assertGreaterOrEqual(1, 1)) && fails(() => assertGreaterOrEqual(0, 1)),
    "less": !fails(() => assertLess(1, 2)) && fails(() => assertLess(1, 1)),
    "at most": !fails(() => assertLessOrEqual(1, 1)) && fails(() => assertLessOrEqual(2, 1)),
    "greater, NaN": fails(() => assertGreater(NaN, 1)),
  });
});

Deno.test("the finding assertions find", () => {
  holdTrue({
    "exists": !fails(() => assertExists(0)) && !fails(() => assertExists("")),
    "null": fails(() => assertExists(null)),
    "undefined": fails(() => assertExists(undefined)),
    "match": !fails(() => assertMatch("abc", /b/)) && fails(() => assertMatch("abc", /^b/)),
    "include": !fails(() => assertStringIncludes("abc", "bc")),
    "not include": fails(() => assertStringIncludes("abc", "cb")),
    "instance": !fails(() => assertInstanceOf(new TypeError(), Error)),
    "no instance": fails(() => assertInstanceOf(new Error(), TypeError)),
  });
});

Deno.test("assertThrows() returns the error it expects and refuses others", () => {
  const error = new TypeError("no such analyzer");
  const throwIt = () => {
    throw error;
  };
  holdTrue({
    "returns it": assertThrows(throwIt) === error,
    "class": assertThrows(throwIt, TypeError) === error,
    "parent class": assertThrows(throwIt, Error) === error,
    "class and text": assertThrows(throwIt, TypeError, "such") === error,
    "message alone": assertThrows(throwIt, "why") === error,
    "another class": fails(() => assertThrows(throwIt, RangeError)),
    "another text": fails(() => assertThrows(throwIt, TypeError, "queue")),
    "nothing thrown": fails(() => assertThrows(() => {})),
  });
});

Deno.test("assertRejects() returns the error it expects and refuses others", async () => {
  const error = new TypeError("no such analyzer");
  const rejectIt = () => Promise.reject(error);
  holdTrue({
    "returns it": await assertRejects(rejectIt) === error,
    "class and text": await assertRejects(rejectIt, TypeError, "such") === error,
    "another class": await rejects(() => assertRejects(rejectIt, RangeError)),
    "another text": await rejects(() => assertRejects(rejectIt, TypeError, "queue")),
    "nothing rejected": await rejects(() => assertRejects(() => Promise.resolve())),
    "thrown instead": await rejects(() =>
      assertRejects(() => {
        throw error;
      })
    ),
  });
});

Deno.test("parseArgs() reads --key=value as texts and the last of equal keys", () => {
  const keys = ["httpAddr", "rate", "unset"];
  const args = ["--httpAddr=:8080", "--rate=20", "--rate=-1e3=x y\n"];
  const parsed = parseArgs(args, { string: keys });
  assertEquals(parsed.httpAddr, ":8080");
  assertEquals(parsed.rate, "-1e3=x y\n");
  assertEquals(parsed.unset, undefined);
  assertEquals(parsed._, []);
  for (const value of ["007", "true", "0x10", "--"]) {
    assertEquals(parseArgs([`--rate=${value}`], { string: keys }).rate, value);
  }
});

/** A writable that keeps what was written. */
function collectText(): { writable: WritableStream<Uint8Array>; read: () => string } {
  const decoder = new TextDecoder();
  let text = "";
  const writable = new WritableStream<Uint8Array>({
    write(chunk) {
      text += decoder.decode(chunk, { stream: true });
    },
  });
  return { writable, read: () => text };
}

Deno.test("ProgressBar draws through its formatter and ends its line when stopped", async () => {
  const { writable, read } = collectText();
  const bar = new ProgressBar({
    writable,
    max: 4,
    barLength: 4,
    formatter: ({ styledTime, progressBar, value, max }) =>
      `${styledTime} ${progressBar} ${value}/${max}`,
  });
  bar.value = 2;
  await bar.stop();
  const lines = read().split("\r\x1b[K");
  assertEquals(lines.at(1), "00:00 ---- 0/4");
  assertEquals(lines.at(-1), "00:00 ##-- 2/4\n");
});

Deno.test("ProgressBar takes its line away with clear, and keeps the writable open", async () => {
  const { writable, read } = collectText();
  const bar = new ProgressBar({ writable, max: 1, clear: true, formatter: () => "line" });
  bar.value = 5;
  await bar.stop();
  assertEquals(read(), "\r\x1b[Kline\r\x1b[K");
  const writer = writable.getWriter();
  await writer.write(new TextEncoder().encode("next"));
  assert(read().endsWith("next"));
});

Deno.test("ServerSentEventStream writes events of the standard's form", async () => {
  const messages: ServerSentEventMessage[] = [
    { data: "one" },
    { comment: "c", event: "e", data: "two\nlines\r\nthree", id: 7, retry: 1000 },
  ];
  const stream = ReadableStream.from(messages).pipeThrough(new ServerSentEventStream());
  assertEquals(
    await new Response(stream).text(),
    "data:one\n\n:c\nevent:e\ndata:two\ndata:lines\ndata:three\nid:7\nretry:1000\n\n",
  );
});

Deno.test("ServerSentEventStream refuses an event name with a line break", async () => {
  const stream = ReadableStream.from([{ event: "a\nb" }]).pipeThrough(new ServerSentEventStream());
  await assertRejects(() => new Response(stream).text(), SyntaxError);
});

Deno.test("STATUS_CODE and STATUS_TEXT name the statuses of the API", () => {
  const rows = [
    [STATUS_CODE.OK, 200, "OK"],
    [STATUS_CODE.Created, 201, "Created"],
    [STATUS_CODE.Accepted, 202, "Accepted"],
    [STATUS_CODE.BadRequest, 400, "Bad Request"],
    [STATUS_CODE.Forbidden, 403, "Forbidden"],
    [STATUS_CODE.NotFound, 404, "Not Found"],
    [STATUS_CODE.MethodNotAllowed, 405, "Method Not Allowed"],
    [STATUS_CODE.ContentTooLarge, 413, "Content Too Large"],
    [STATUS_CODE.UnsupportedMediaType, 415, "Unsupported Media Type"],
    [STATUS_CODE.UnprocessableEntity, 422, "Unprocessable Entity"],
    [STATUS_CODE.InternalServerError, 500, "Internal Server Error"],
    [STATUS_CODE.ServiceUnavailable, 503, "Service Unavailable"],
  ] as const;
  for (const [code, value, text] of rows) {
    assertEquals(code as number, value);
    assertEquals(STATUS_TEXT[code] as string, text);
  }
});

Deno.test("Logger hands its handlers what is of its level or above", () => {
  const records: LogRecord[] = [];
  const lines: string[] = [];
  class KeepingHandler extends BaseHandler {
    override handle(record: LogRecord): void {
      records.push(record);
      super.handle(record);
    }
    override log(line: string): void {
      lines.push(line);
    }
  }
  const level: LevelName = "INFO";
  const handler = new KeepingHandler(level, { formatter: ({ msg }) => `<${msg}>` });
  const logger = new Logger("name", level, { handlers: [handler] });
  logger.debug("d");
  logger.info("i", { a: 1 });
  logger.warn("w");
  logger.error("e");
  assertEquals(records.map(({ levelName }) => levelName), ["INFO", "WARN", "ERROR"]);
  assertEquals(records[0]?.args, [{ a: 1 }]);
  assertEquals(lines, ["<i>", "<w>", "<e>"]);
});

Deno.test("BaseHandler drops what is below its own level", () => {
  const lines: string[] = [];
  class KeepingHandler extends BaseHandler {
    override log(line: string): void {
      lines.push(line);
    }
  }
  const logger = new Logger("name", "DEBUG", { handlers: [new KeepingHandler("WARN")] });
  logger.info("i");
  logger.warn("w");
  assertEquals(lines, ["WARN w"]);
});

Deno.test("Hono routes, and its event stream ends with its client", async () => {
  const app = new Hono();
  app.get("/hello/:name", (context) => context.json({ hello: context.req.param("name") }));
  app.get("/events", (context) => streamSSE(context, (stream) => stream.writeSSE({ data: "one" })));
  assertEquals(await (await app.request("/hello/agent")).json(), { hello: "agent" });
  assertEquals((await app.request("/nothing")).status, STATUS_CODE.NotFound);
  assertEquals(await (await app.request("/events")).text(), "data: one\n\n");
});
