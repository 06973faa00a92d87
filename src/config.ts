/**
 * The distributor's options: names, units, defaults, where each value came from. Frozen once.
 *
 * Precedence: flags > environment > config file > defaults. One table gives the flag
 * (`--queue-size`), the variable (`DISTRIBUTOR_QUEUE_SIZE`) and the config key (`queueSize`).
 */

import type { AnalyzerConfig } from "./analyzer.ts";
import { parseAnalyzer } from "./analyzer_config.ts";
import { UsageError } from "./errors.ts";
import {
  flagName,
  type Option,
  type OptionTable,
  type OptionValues,
  parseCommandLine,
  parseValue,
} from "./flags.ts";
import { PACKET_OVERHEAD_BYTES } from "./packet.ts";

/** Read when `--config` does not say otherwise; may be missing. */
export const DEFAULT_CONFIG_PATH = "config/config.json";

/** Everything that can be set. Durations are in milliseconds, sizes in bytes, once parsed. */
export const OPTIONS = {
  httpAddr: {
    kind: "address",
    default: "127.0.0.1:8080",
    help: "Where to listen; :8080 means every interface",
  },
  queueSize: {
    kind: "integer",
    default: "10000",
    min: 1,
    max: 100_000_000,
    help: "Packets that may wait in memory; beyond, they wait on disk, or agents get 503",
  },
  queueBytes: {
    kind: "bytes",
    default: "256MiB",
    min: 65536,
    help: "Memory that bodies coming in and packets held in memory may take",
  },
  durability: {
    kind: "string",
    default: "disk",
    choices: ["disk", "memory"],
    help: "What a 202 means: disk, committed and synced; memory, kept in this process",
  },
  dataDir: {
    kind: "string",
    default: "data",
    pattern: /^[^\0]+$/,
    allowed: "the path of a folder",
    help: "Folder of the spool; made if it is not there",
  },
  spoolMaxBytes: {
    kind: "bytes",
    default: "4GiB",
    min: 2 ** 20,
    help: "Disk that packets not yet delivered and dead letters may take",
  },
  threads: {
    kind: "threads",
    default: "1",
    min: 1,
    max: 64,
    help: "Threads that receive packets; auto is one for each core",
  },
  workers: {
    kind: "integer",
    default: "10",
    min: 1,
    max: 1000,
    help: "Workers that pull packets from the queue and draw an analyzer for each",
  },
  maxInFlight: {
    kind: "integer",
    default: "64",
    min: 1,
    max: 10_000,
    help: "Requests under way to one analyzer; beyond, it is full and takes no part in the draw",
  },
  maxBatch: {
    kind: "integer",
    default: "256",
    min: 1,
    max: 100_000,
    help: "Packets in one request to an analyzer that offers application/x-ndjson; 1 turns it off",
  },
  maxBatchBytes: {
    kind: "bytes",
    default: "1MiB",
    min: 1,
    help: "Bytes in one request of several packets",
  },
  attemptTimeout: {
    kind: "duration",
    default: "15s",
    min: 1,
    help: "Time for one attempt, from connecting to the end of the answer",
  },
  maxRetries: {
    kind: "integer",
    default: "5",
    min: 0,
    max: 1000,
    help: "Failed attempts after the first before a packet becomes a dead letter",
  },
  retryInterval: {
    kind: "duration",
    default: "200ms",
    min: 0,
    help: "Base of the exponential back-off between attempts",
  },
  healthCheckInterval: {
    kind: "duration",
    default: "5s",
    min: 10,
    help: "Time between two health checks of a healthy analyzer",
  },
  healthCheckTimeout: {
    kind: "duration",
    default: "2s",
    min: 1,
    help: "Time for one health check",
  },
  ejectionTime: {
    kind: "duration",
    default: "5s",
    min: 0,
    help: "First ejection of a failing analyzer; doubles with each further one, up to 60s",
  },
  slowStart: {
    kind: "duration",
    default: "30s",
    min: 0,
    help: "Time in which an analyzer that came back grows from 10% to its whole share",
  },
  maxBody: {
    kind: "bytes",
    default: "4MiB",
    min: 1024,
    help: "Largest request body, sent and inflated",
  },
  drainTimeout: {
    kind: "duration",
    default: "25s",
    min: 0,
    help: "Time to deliver what is queued after SIGTERM",
  },
  allowedHosts: {
    kind: "string",
    default: "private",
    pattern: /^[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*$/,
    allowed: "names with commas between, such as logs.example.com; or any",
    help: "Names by which page and API may be reached, besides addresses and private names",
  },
  logLevel: {
    kind: "string",
    default: "info",
    choices: ["debug", "info", "warn", "error"],
    help: "Least level that is logged",
  },
  logFormat: {
    kind: "string",
    default: "auto",
    choices: ["auto", "json", "text"],
    help: "Form of log lines; auto is text on a terminal and JSON elsewhere",
  },
} as const satisfies OptionTable;

/** Flags that are about the start itself: not in the file, nor but for `config` in the environment. */
export const COMMAND_OPTIONS = {
  config: { kind: "string", help: `Config file (default ${DEFAULT_CONFIG_PATH}, if there)` },
  printConfig: {
    kind: "boolean",
    default: "false",
    help: "Print each effective value and where it came from, and exit",
  },
  dead: { kind: "boolean", default: "false", help: "Of spool export: dead letters too" },
  help: { kind: "boolean", default: "false", help: "Print this and exit" },
  version: { kind: "boolean", default: "false", help: "Print the version and exit" },
} as const satisfies OptionTable;

export type Options = OptionValues<typeof OPTIONS>;
export type Command = OptionValues<typeof COMMAND_OPTIONS>;
export type Source = "default" | "file" | "environment" | "flag";

export interface Config {
  readonly options: Options;
  /** As written, for `--print-config`. */
  readonly written: Readonly<Record<keyof Options, { text: string; source: Source }>>;
  /** The file's static analyzers. */
  readonly analyzers: readonly AnalyzerConfig[];
  readonly command: Command;
  readonly words: readonly string[];
}

/** The doors that reading a configuration goes through. */
export interface ConfigDoors {
  readonly args: readonly string[];
  readonly env: (name: string) => string | undefined;
  /** Returns the file's text, or undefined when there is no such file. */
  readonly readFile: (path: string) => string | undefined;
}

/**
 * Reads flags, environment and config file into one frozen configuration.
 *
 * @throws {UsageError} one line that names what is wrong and what is allowed
 */
export function readConfig(doors: ConfigDoors): Config {
  const line = parseCommandLine(doors.args, { ...OPTIONS, ...COMMAND_OPTIONS });
  const command = parseAll(COMMAND_OPTIONS, line.written) as Command;
  const path = command.config ?? (doors.env("DISTRIBUTOR_CONFIG") || undefined);
  const file = command.help || command.version ? {} : readFile(path, doors);
  const written = {} as Record<keyof Options, { text: string; source: Source }>;
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(OPTIONS) as (keyof Options)[]) {
    const option: Option = OPTIONS[key];
    const found = findText(key, { flags: line.written, doors, file }) ??
      { text: option.default!, source: "default" as const, origin: "the default" };
    written[key] = { text: found.text, source: found.source };
    values[key] = parseValue(option, found.text, found.origin);
  }
  const options = Object.freeze(values) as unknown as Options;
  if (options.queueBytes < options.maxBody + PACKET_OVERHEAD_BYTES) {
    throw new UsageError(
      `Invalid value for --queue-bytes: ${options.queueBytes} bytes cannot hold one packet of ` +
        `--max-body ${options.maxBody} bytes and ${PACKET_OVERHEAD_BYTES} more`,
    );
  }
  return {
    options,
    written,
    analyzers: readAnalyzers(file["analyzers"]),
    command,
    words: line.words,
  };
}

/** Writes each effective value and where it came from, one a line. */
export function describeConfig(config: Config): string {
  const lines = Object.entries(config.written).map(([key, { text, source }]) =>
    `${key} = ${text} (${source})`
  );
  const analyzers = config.analyzers.map(({ id, url, weight }) =>
    `analyzer ${id} = ${url} weight ${weight} (file)`
  );
  return [...lines, ...analyzers].join("\n");
}

function findText(
  key: keyof Options,
  from: {
    flags: ReadonlyMap<string, string>;
    doors: ConfigDoors;
    file: Readonly<Record<string, unknown>>;
  },
): { text: string; source: Source; origin: string } | undefined {
  const flag = from.flags.get(key);
  if (flag !== undefined) {
    return { text: flag, source: "flag", origin: `flag --${flagName(key)}` };
  }
  const name = `DISTRIBUTOR_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
  const variable = from.doors.env(name);
  if (variable !== undefined && variable !== "") {
    return { text: variable, source: "environment", origin: `environment variable ${name}` };
  }
  const value = from.file[key];
  if (value === undefined) return undefined;
  return { text: String(value), source: "file", origin: `config key ${JSON.stringify(key)}` };
}

function checkFileValue(key: keyof Options, value: unknown): void {
  const origin = `config key ${JSON.stringify(key)}`;
  if (typeof value === "object") {
    throw new UsageError(`Invalid value for ${origin}: expected a text, a number or a boolean`);
  }
  parseValue(OPTIONS[key], String(value), origin);
}

function parseAll(table: OptionTable, written: ReadonlyMap<string, string>): unknown {
  return Object.freeze(Object.fromEntries(
    Object.entries(table).map(([key, option]) => {
      const text = written.get(key) ?? option.default;
      const origin = `flag --${flagName(key)}`;
      return [key, text === undefined ? undefined : parseValue(option, text, origin)];
    }),
  ));
}

function readFile(path: string | undefined, doors: ConfigDoors): Record<string, unknown> {
  const text = doors.readFile(path ?? DEFAULT_CONFIG_PATH);
  if (text === undefined) {
    if (path === undefined) return {};
    throw new UsageError(`Cannot read config file ${JSON.stringify(path)}: there is no such file`);
  }
  const shown = JSON.stringify(path ?? DEFAULT_CONFIG_PATH);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Cannot read config file ${shown}: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new UsageError(`Cannot read config file ${shown}: it must be a JSON object`);
  }
  const known = [...Object.keys(OPTIONS), "analyzers"];
  for (const [key, value] of Object.entries(parsed)) {
    // What is overridden is checked, too: it would be in force one day.
    if (key in OPTIONS) checkFileValue(key as keyof Options, value);
    if (known.includes(key)) continue;
    throw new UsageError(
      `Unknown key ${JSON.stringify(key)} in config file ${shown}: allowed are ${known.join(", ")}`,
    );
  }
  return parsed as Record<string, unknown>;
}

function readAnalyzers(value: unknown): AnalyzerConfig[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new UsageError('Invalid value for config key "analyzers": expected an array');
  }
  const seen = new Set<string>();
  return value.map((entry, index) => {
    try {
      const analyzer = parseAnalyzer(entry);
      const unknown = Object.keys(entry).find((key) => !["id", "url", "weight"].includes(key));
      if (unknown) throw new UsageError(`unknown key ${JSON.stringify(unknown)}`);
      if (seen.has(analyzer.id)) throw new UsageError("its id is there twice");
      seen.add(analyzer.id);
      return analyzer;
    } catch (error) {
      throw new UsageError(`Invalid config key "analyzers[${index}]": ${(error as Error).message}`);
    }
  });
}
