import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  COMMAND_OPTIONS,
  type Config,
  DEFAULT_CONFIG_PATH,
  describeConfig,
  OPTIONS,
  type Options,
  readConfig,
  type Source,
} from "../src/config.ts";
import { UsageError } from "../src/errors.ts";
import { flagName, type Option, parseValue } from "../src/flags.ts";

const KEYS = Object.keys(OPTIONS) as (keyof Options)[];

interface Given {
  readonly args?: string[];
  readonly env?: Record<string, string>;
  /** Files by path; a text is the default file's. */
  readonly files?: Record<string, string> | string;
}

function read({ args = [], env = {}, files = {} }: Given): Config {
  const byPath = typeof files === "string" ? { [DEFAULT_CONFIG_PATH]: files } : files;
  return readConfig({ args, env: (name) => env[name], readFile: (path) => byPath[path] });
}

function faultOf(given: Given): string {
  const { message } = assertThrows(() => read(given), UsageError);
  assert(!message.includes("\n"), "one line");
  return message;
}

function environmentName(key: string): string {
  return `DISTRIBUTOR_${flagName(key).toUpperCase().replaceAll("-", "_")}`;
}

/** Three texts that an option takes, none of them its default. */
function textsFor(key: keyof Options): [string, string, string] {
  const option: Option = OPTIONS[key];
  if (option.choices) {
    const [first, second = first, third = second] = option.choices;
    return [first!, second!, third!];
  }
  switch (option.kind) {
    case "address":
      return ["127.0.0.2:1", ":2", "[::1]:3"];
    case "duration":
      return ["11s", "12s", "1m13s"];
    case "bytes":
      return ["queueBytes", "spoolMaxBytes"].includes(key)
        ? ["1GiB", "2GiB", "3GB"]
        : ["2MiB", "3MiB", "65536"];
    default:
      return ["11", "12", "13"];
  }
}

Deno.test("readConfig() takes every option from flag, environment, file and default, in that order", () => {
  for (const key of KEYS) {
    const [flag, environment, file] = textsFor(key);
    const sources: [Source, string, Given][] = [
      ["flag", flag, { args: [`--${flagName(key)}=${flag}`] }],
      ["environment", environment, { env: { [environmentName(key)]: environment } }],
      ["file", file, { files: JSON.stringify({ [key]: file }) }],
      ["default", OPTIONS[key].default, {}],
    ];
    // With each source left out in turn, the next one counts.
    for (let from = 0; from < sources.length; from++) {
      const given = Object.assign({}, ...sources.slice(from).map(([, , part]) => part)) as Given;
      const config = read(given);
      const [source, text] = sources[from]!;
      assertEquals(config.written[key], { text, source }, `${key} from ${source}`);
      assertEquals(config.options[key], parseValue(OPTIONS[key], text, "") as never, key);
    }
  }
});

Deno.test("readConfig() has defaults that parse, and freezes what it read", () => {
  const { options, written, analyzers, words } = read({});
  for (const key of KEYS) assertEquals(written[key].source, "default");
  assert(Object.isFrozen(options));
  assertEquals([analyzers, words], [[], []]);
  assertEquals(options.httpAddr, { hostname: "127.0.0.1", port: 8080 });
  assertEquals([options.queueSize, options.workers, options.maxRetries], [10_000, 10, 5]);
  assertEquals([options.maxBody, options.queueBytes], [4 * 2 ** 20, 256 * 2 ** 20]);
  const { drainTimeout, attemptTimeout, retryInterval, healthCheckInterval, slowStart } = options;
  assertEquals([drainTimeout, attemptTimeout, retryInterval], [25_000, 15_000, 200]);
  assertEquals([healthCheckInterval, slowStart], [5000, 30_000]);
});

Deno.test("readConfig() gives every option its flag, its variable and its key, each name once", () => {
  const names = [...KEYS, ...Object.keys(COMMAND_OPTIONS)].map(flagName);
  assertEquals(new Set(names).size, names.length);
  for (const name of names) assert(/^[a-z]+(-[a-z]+)*$/.test(name), name);
  const seed = ["http-addr", "queue-size", "workers", "health-check-interval", "max-retries"];
  for (const name of [...seed, "retry-interval"]) assert(names.includes(name), name);
});

Deno.test("readConfig() refuses a bad value from each source in one line that names its origin", () => {
  for (const key of KEYS) {
    const option: Option = OPTIONS[key];
    const bad = option.pattern ? "a\0b" : option.kind === "string" ? "nonsense" : "x y";
    const origins: [string, Given][] = [
      [`flag --${flagName(key)}`, { args: [`-${flagName(key)}`, bad] }],
      [`environment variable ${environmentName(key)}`, { env: { [environmentName(key)]: bad } }],
      [`config key "${key}"`, { files: JSON.stringify({ [key]: bad }) }],
      [`config key "${key}"`, {
        files: JSON.stringify({ [key]: bad }),
        args: [`--${flagName(key)}=${option.default}`],
      }],
    ];
    for (const [origin, given] of origins) {
      const start = `Invalid value ${JSON.stringify(bad)} for ${origin}: allowed is `;
      const message = faultOf(given);
      assert(message.startsWith(start) && message.length > start.length, message);
    }
    if (option.min !== undefined && option.min > 0) {
      const below = option.kind === "duration" ? "0" : String(option.min - 1);
      assertStringIncludes(faultOf({ args: [`--${flagName(key)}=${below}`] }), "at least");
    }
  }
});

Deno.test("readConfig() takes numbers and texts in the file, and nothing nested", () => {
  const files = JSON.stringify({ queueSize: 7, retryInterval: "1s", maxBody: 2048 });
  const { options } = read({ files });
  assertEquals([options.queueSize, options.retryInterval, options.maxBody], [7, 1000, 2048]);
  for (const value of [null, [], {}, [7]]) {
    assertEquals(
      faultOf({ files: JSON.stringify({ queueSize: value }) }),
      'Invalid value for config key "queueSize": expected a text, a number or a boolean',
    );
  }
});

Deno.test("readConfig() takes an empty variable for an absent one, but an empty flag for a value", () => {
  const env = { DISTRIBUTOR_QUEUE_SIZE: "" };
  assertEquals(read({ env }).written.queueSize, { text: "10000", source: "default" });
  assertStringIncludes(
    faultOf({ args: ["--queue-size="] }),
    'Invalid value "" for flag --queue-size',
  );
});

Deno.test("readConfig() reads the file that --config names, which then must be there", () => {
  const files = { "my.json": '{"workers":3}', [DEFAULT_CONFIG_PATH]: '{"workers":4}' };
  assertEquals(read({ files }).options.workers, 4);
  assertEquals(read({ files, args: ["-config", "my.json"] }).options.workers, 3);
  assertEquals(
    faultOf({ args: ["--config=none.json"] }),
    'Cannot read config file "none.json": there is no such file',
  );
});

Deno.test("readConfig() refuses a broken file, and names it", () => {
  const cases = [
    ["", "Cannot read config file"],
    ["{", "Cannot read config file"],
    ["[]", "it must be a JSON object"],
    ["7", "it must be a JSON object"],
    ["null", "it must be a JSON object"],
    ['{"queueSise":1}', 'Unknown key "queueSise" in config file'],
    ['{"queue-size":1}', 'Unknown key "queue-size" in config file'],
    ['{"config":"x"}', 'Unknown key "config" in config file'],
    ['{"a\\nb":1}', 'Unknown key "a\\nb" in config file'],
  ];
  for (const [text, says] of cases) {
    const message = faultOf({ files: text! });
    assertStringIncludes(message, says!);
    assertStringIncludes(message, JSON.stringify(DEFAULT_CONFIG_PATH));
  }
});

Deno.test("readConfig() reads the file's analyzers, and names the one at fault", () => {
  const one = { id: "a", url: "http://localhost:8081/", weight: 0.4 };
  const config = read({ files: JSON.stringify({ analyzers: [one, { ...one, id: "b" }] }) });
  const parsed = { id: "a", url: "http://localhost:8081", weight: 0.4 };
  assertEquals(config.analyzers, [parsed, { ...parsed, id: "b" }]);
  const cases: [unknown, string][] = [
    [{}, 'Invalid value for config key "analyzers": expected an array'],
    [[one, one], 'Invalid config key "analyzers[1]": its id is there twice'],
    [[{ ...one, weight: 0 }], 'Invalid config key "analyzers[0]": weight must be'],
    [[{ ...one, wieght: 1 }], 'Invalid config key "analyzers[0]": unknown key "wieght"'],
    [[one, null], 'Invalid config key "analyzers[1]": expected a JSON object'],
  ];
  for (const [analyzers, says] of cases) {
    assertStringIncludes(faultOf({ files: JSON.stringify({ analyzers }) }), says);
  }
});

Deno.test("readConfig() refuses a queue that could not hold the largest packet", () => {
  const message = faultOf({ args: ["--queue-bytes=1MiB", "--max-body=2MiB"] });
  assertStringIncludes(message, "Invalid value for --queue-bytes: 1048576 bytes cannot hold");
});

Deno.test("readConfig() hands on words and commands, and needs no file for --help and --version", () => {
  const { words, command } = read({ args: ["serve", "--print-config"] });
  assertEquals([words, command.printConfig, command.help], [["serve"], true, false]);
  for (const flag of ["-h", "--help", "--version"]) {
    assert(read({ args: [flag], files: "broken" }), flag);
  }
});

Deno.test("describeConfig() writes each effective value and where it came from", () => {
  const config = read({
    args: ["--workers=3"],
    env: { DISTRIBUTOR_RETRY_INTERVAL: "1s" },
    files: JSON.stringify({
      queueSize: 7,
      analyzers: [{ id: "a", url: "http://localhost:1", weight: 0.5 }],
    }),
  });
  const lines = describeConfig(config).split("\n");
  assertEquals(lines.length, KEYS.length + 1);
  KEYS.forEach((key, i) => assert(lines[i]!.startsWith(`${key} = `), lines[i]));
  const expected = [
    "workers = 3 (flag)",
    "retryInterval = 1s (environment)",
    "queueSize = 7 (file)",
    "httpAddr = 127.0.0.1:8080 (default)",
    "analyzer a = http://localhost:1 weight 0.5 (file)",
  ];
  for (const line of expected) assert(lines.includes(line), line);
});

Deno.test("readConfig() takes the repository's own config file, which repeats no default", async () => {
  const text = await Deno.readTextFile(new URL("../config/config.json", import.meta.url));
  const { written, analyzers } = read({ files: text });
  assertEquals(analyzers, []);
  for (const [key, { source }] of Object.entries(written)) assertEquals(source, "default", key);
});
