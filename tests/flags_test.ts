import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../src/errors.ts";
import {
  allowedValues,
  describeFlags,
  flagName,
  formatDuration,
  type Option,
  type OptionTable,
  parseCommandLine,
  parseDuration,
  parseFlags,
  parseValue,
} from "../src/flags.ts";

const TABLE = {
  id: { kind: "string", default: "none", help: "A name" },
  rate: { kind: "number", default: "20", help: "How many", min: 0 },
  queueSize: { kind: "integer", default: "10", help: "How long", min: 1, max: 99 },
  verbose: { kind: "boolean", default: "false", help: "Says more" },
  help: { kind: "boolean", default: "false", help: "Prints this" },
  wait: { kind: "duration", help: "How long to wait" },
} as const satisfies OptionTable;

function written(...args: string[]): Record<string, string> {
  return Object.fromEntries(parseCommandLine(args, TABLE).written);
}

function faultOf(parse: () => unknown): string {
  const { message } = assertThrows(parse, UsageError);
  assert(!message.includes("\n"), "one line");
  return message;
}

Deno.test("parseCommandLine() reads Go's and GNU's forms alike", () => {
  const forms = [["-id", "a"], ["--id", "a"], ["-id=a"], ["--id=a"]];
  for (const args of forms) assertEquals(written(...args), { id: "a" }, args.join(" "));
  for (const args of [["-queue-size", "7"], ["--queue-size=7"]]) {
    assertEquals(written(...args), { queueSize: "7" });
  }
});

Deno.test("parseCommandLine() takes booleans without a value, and with one after the sign alone", () => {
  assertEquals(written("-verbose"), { verbose: "true" });
  assertEquals(written("--verbose=false"), { verbose: "false" });
  assertEquals(parseCommandLine(["-verbose", "false"], TABLE).words, ["false"]);
  for (const help of ["-h", "--h", "-help", "--help"]) {
    assertEquals(written(help), { help: "true" });
  }
});

Deno.test("parseCommandLine() keeps values as they are written", () => {
  const values = ["", " ", "-1", "--", "--rate", "a=b", "=", "0x10", "007", "true", "é\n", "1e999"];
  for (const value of values) {
    assertEquals(written(`--id=${value}`), { id: value }, JSON.stringify(value));
    assertEquals(written("-id", value), { id: value }, JSON.stringify(value));
  }
});

Deno.test("parseCommandLine() counts the last of a repeated flag", () => {
  assertEquals(written("-id", "a", "--id=b", "-rate=1", "-id="), { id: "", rate: "1" });
});

Deno.test("parseCommandLine() gives words apart, and everything after --", () => {
  const { written, words } = parseCommandLine(["one", "-id", "a", "-", "--", "-rate", "x"], TABLE);
  assertEquals([Object.fromEntries(written), words], [{ id: "a" }, ["one", "-", "-rate", "x"]]);
});

Deno.test("parseCommandLine() names unknown flags and missing values in one line", () => {
  const cases: [string[], string][] = [
    [["--frob"], 'Unknown flag "--frob": see --help for all flags'],
    [["-queue"], 'Unknown flag "-queue": did you mean --queue-size?'],
    [["--queuesize=3"], 'Unknown flag "--queuesize=3": did you mean --queue-size?'],
    [["--queueSize=3"], 'Unknown flag "--queueSize=3"'],
    [["-x\ny"], 'Unknown flag "-x\\ny"'],
    [["-id"], "Missing value for flag --id: allowed is a text"],
    [["-wait"], "Missing value for flag --wait: allowed is a duration such as 500ms"],
  ];
  for (const [args, says] of cases) {
    const message = faultOf(() => parseCommandLine(args, TABLE));
    assert(message.startsWith(says), message);
  }
});

Deno.test("parseFlags() gives typed, frozen values and defaults", () => {
  const { values, words } = parseFlags(["-rate", "2.5", "--wait=1m30s", "w"], TABLE);
  assertEquals({ ...values }, {
    id: "none",
    rate: 2.5,
    queueSize: 10,
    verbose: false,
    help: false,
    wait: 90_000,
  });
  assertEquals(parseFlags([], TABLE).values.wait, undefined);
  assert(Object.isFrozen(values));
  assertEquals(words, ["w"]);
});

Deno.test("parseDuration() reads Go's notation", () => {
  const cases: Record<string, number> = {
    "0": 0,
    "0s": 0,
    "500ms": 500,
    "60s": 60_000,
    "1m30s": 90_000,
    "1h": 3_600_000,
    "1.5h": 5_400_000,
    "2h45m0.5s": 9_900_500,
    "100us": 0.1,
    "100µs": 0.1,
    "1ns": 1e-6,
    ".5s": 500,
    "1.s": 1000,
    "30s1m": 90_000,
    "1ms1m": 60_001,
  };
  for (const [text, ms] of Object.entries(cases)) {
    assertAlmostEquals(parseDuration(text)!, ms, 1e-9, text);
  }
});

Deno.test("parseDuration() takes nothing else", () => {
  const bad = [
    "",
    " ",
    "5",
    "00",
    "s",
    "-1s",
    "+1s",
    "1 s",
    "1s ",
    "1d",
    "1S",
    ".s",
    "1..5s",
    "1e3s",
  ];
  for (const text of [...bad, "1m30", "ms", "∞", "1s,2s", "0x1s"]) {
    assertEquals(parseDuration(text), undefined, JSON.stringify(text));
  }
});

Deno.test("formatDuration() writes what parseDuration() reads", () => {
  const cases: [number, string][] = [[0, "0"], [250, "250ms"], [1500, "1.5s"], [90_000, "90s"]];
  const more: [number, string][] = [[60_000, "1m"], [7_200_000, "2h"], [0.5, "0.5ms"]];
  for (const [ms, text] of [...cases, ...more]) {
    assertEquals(formatDuration(ms), text);
    assertEquals(parseDuration(text), ms);
  }
});

/** Texts of each kind with their values; undefined where the text is refused. */
const VALUES: Record<Option["kind"], Record<string, unknown>> = {
  string: { "": "", "a b": "a b" },
  address: {
    ":8080": { hostname: "0.0.0.0", port: 8080 },
    "127.0.0.1:0": { hostname: "127.0.0.1", port: 0 },
    "localhost:65535": { hostname: "localhost", port: 65535 },
    "[::1]:80": { hostname: "::1", port: 80 },
    "[::]:80": { hostname: "::", port: 80 },
    "8080": undefined,
    "localhost": undefined,
    "localhost:": undefined,
    ":65536": undefined,
    "::1:80": undefined,
    "a b:80": undefined,
    "http://localhost:80": undefined,
    ":-1": undefined,
  },
  url: {
    "http://localhost:8080": "http://localhost:8080",
    "https://host/path": "https://host/path",
    "localhost:8080": undefined,
    "ftp://host": undefined,
    "http://user@host": undefined,
    "http://:secret@host": undefined,
    "": undefined,
  },
  integer: {
    "0": 0,
    "+7": 7,
    "-7": -7,
    "007": 7,
    "999999999999999": 999_999_999_999_999,
    "1e3": undefined,
    "1.0": undefined,
    "": undefined,
    "0x10": undefined,
    "1000000000000000": undefined,
  },
  number: {
    "0.4": 0.4,
    ".5": 0.5,
    "1.": 1,
    "-2": -2,
    "1e3": 1000,
    "2E-1": 0.2,
    "1e999": undefined,
    "NaN": undefined,
    "Infinity": undefined,
    "": undefined,
    ".": undefined,
    "0x10": undefined,
    "1 ": undefined,
  },
  threads: {
    "auto": navigator.hardwareConcurrency,
    "2": 2,
    "": undefined,
    "all": undefined,
    "1.5": undefined,
  },
  boolean: {
    "true": true,
    "1": true,
    "T": true,
    "FALSE": false,
    "0": false,
    "f": false,
    "yes": undefined,
    "": undefined,
  },
  duration: { "1s": 1000, "1": undefined },
  bytes: {
    "65536": 65536,
    "1B": 1,
    "4MiB": 4 * 2 ** 20,
    "4MB": 4e6,
    "1.5KiB": 1536,
    "1GiB": 2 ** 30,
    "2KB": 2000,
    "1GB": 1e9,
    "4mb": undefined,
    "-1": undefined,
    "": undefined,
    "MiB": undefined,
    "1 MiB": undefined,
  },
};

Deno.test("parseValue() reads each kind, and names option, value and what is allowed", () => {
  for (const [kind, texts] of Object.entries(VALUES) as [Option["kind"], typeof VALUES.url][]) {
    const option: Option = { kind, help: "" };
    for (const [text, value] of Object.entries(texts)) {
      const parse = () => parseValue(option, text, "flag --x");
      if (value !== undefined) assertEquals(parse(), value as string, `${kind} ${text}`);
      else {
        const expected = `Invalid value ${JSON.stringify(text)} for flag --x: allowed is `;
        assertEquals(faultOf(parse), expected + allowedValues(option), kind);
      }
    }
  }
});

Deno.test("parseValue() holds bounds, choices and patterns, and says them in words", () => {
  const cases: [Option, string[], string[], string][] = [
    [
      { kind: "integer", help: "", min: 1, max: 3 },
      ["1", "3"],
      ["0", "4"],
      "at least 1 and at most 3",
    ],
    [{ kind: "duration", help: "", min: 10 }, ["10ms"], ["9.9ms"], "at least 10ms"],
    [{ kind: "duration", help: "" }, ["24h"], ["24h1ms", "1000h"], "at most 24h"],
    [{ kind: "bytes", help: "", max: 1024 }, ["1KiB"], ["1025"], "at most 1024 bytes"],
    [{ kind: "string", help: "", choices: ["a", "b"] }, ["a"], ["c", "A", ""], "one of a, b"],
    [
      { kind: "string", help: "", pattern: /^x+$/, allowed: "some x" },
      ["x", "xx"],
      ["", "y", "x\n"],
      "some x",
    ],
  ];
  for (const [option, good, bad, says] of cases) {
    for (const text of good) parseValue(option, text, "it");
    for (const text of bad) {
      const message = faultOf(() => parseValue(option, text, "it"));
      assert(message.includes(says), message);
    }
  }
});

Deno.test("flagName() and describeFlags() write flags as they are typed", () => {
  assertEquals(flagName("healthCheckInterval"), "health-check-interval");
  assertEquals(
    describeFlags({ queueSize: TABLE.queueSize, verbose: TABLE.verbose, wait: TABLE.wait }),
    "  --queue-size INTEGER\n        How long (default 10)\n" +
      "  --verbose\n        Says more\n" +
      "  --wait DURATION\n        How long to wait",
  );
});

Deno.test("describeFlags() names choices and keeps within 80 columns", () => {
  const text = describeFlags({
    mode: { kind: "string", default: "a", choices: ["a", "b"], help: "Word ".repeat(40).trim() },
  });
  assert(text.startsWith("  --mode a|b\n"), text);
  for (const line of text.split("\n")) assert(line.length <= 80, line);
});
