/**
 * Options of all three programs: their kinds, how text becomes a value, Go and GNU flags, usage.
 *
 * A program describes its options once, keyed in camelCase; flag (`kebab-case`), environment
 * variable (`UPPER_SNAKE`) and config key (`camelCase`) follow from the key. Every fault is a
 * {@link UsageError} of one line that names the option, the value and what is allowed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "./errors.ts";

interface Kinds {
  string: string;
  /** `host:port`; an empty host means every interface. */
  address: { hostname: string; port: number };
  url: string;
  integer: number;
  number: number;
  boolean: boolean;
  /** Go's notation (`500ms`, `1m30s`, `0`); the value is in milliseconds. */
  duration: number;
  /** Bytes: `4194304`, `4MiB`, `4MB`. */
  bytes: number;
  /** A whole number; `auto` is one for each core. */
  threads: number;
}

/** How one option reads. */
export interface Option<K extends keyof Kinds = keyof Kinds> {
  readonly kind: K;
  /** As a user would write it. Absent: no default, the value is undefined. */
  readonly default?: string;
  readonly help: string;
  /** Inclusive bounds, in the value's own unit. */
  readonly min?: number;
  readonly max?: number;
  /** The only values allowed. */
  readonly choices?: readonly string[];
  /** Replaces the generated description of what is allowed. */
  readonly allowed?: string;
  readonly pattern?: RegExp;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** The typed values of a table. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends { readonly default: string } ? OptionValue<T[K]>
    : OptionValue<T[K]> | undefined;
};

type OptionValue<O extends Option> = O extends { readonly choices: readonly (infer C)[] } ? C
  : Kinds[O["kind"]];

/** `healthCheckInterval` → `health-check-interval`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** No duration may be longer: timers overflow beyond 24 days, and then fire at once. */
export const MAX_DURATION_MS = 24 * 3_600_000;

const DURATION_UNITS_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Parses Go's duration notation to milliseconds; undefined when it is not one. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (
    !/^(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/.test(text)
  ) {
    return undefined;
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * DURATION_UNITS_MS[unit!]!;
  }
  return total;
}

/** Writes milliseconds in Go's notation: 1500 → `1.5s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0";
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`;
}

const BYTE_UNITS: Record<string, number> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(|B|KB|MB|GB|KiB|MiB|GiB)$/.exec(text);
  return match ? Math.floor(Number(match[1]) * BYTE_UNITS[match[2]!]!) : undefined;
}

function parseAddress(text: string): Kinds["address"] | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  return port > 65535 ? undefined : { hostname: match[1] ?? (match[2] || "0.0.0.0"), port };
}

function parseHttpUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const http = url.protocol === "http:" || url.protocol === "https:";
  return http && url.username === "" && url.password === "" ? text : undefined;
}

const PARSERS: { [K in keyof Kinds]: (text: string) => Kinds[K] | undefined } = {
  string: (text) => text,
  address: parseAddress,
  url: parseHttpUrl,
  integer: (text) => /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined,
  number: (text) =>
    /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text))
      ? Number(text)
      : undefined,
  boolean: (text) =>
    /^(1|t|true)$/i.test(text) ? true : /^(0|f|false)$/i.test(text) ? false : undefined,
  duration: parseDuration,
  bytes: parseBytes,
  threads: (text) => text === "auto" ? navigator.hardwareConcurrency : PARSERS.integer(text),
};

const NOUNS: { [K in keyof Kinds]: string } = {
  string: "a text",
  address: "host:port, or :port for every interface",
  url: "an http or https URL without user name and password",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  duration: "a duration such as 500ms, 60s or 1m30s",
  bytes: "a size such as 65536, 512KiB or 4MiB",
  threads: "auto or a whole number",
};

function boundsOf({ kind, min, max }: Option): { min: number; max: number } {
  const most = kind === "duration" ? MAX_DURATION_MS : Infinity;
  return { min: min ?? -Infinity, max: Math.min(max ?? Infinity, most) };
}

/** Says in words what an option takes. */
export function allowedValues(option: Option): string {
  if (option.allowed) return option.allowed;
  if (option.choices) return `one of ${option.choices.join(", ")}`;
  const unit = option.kind === "duration"
    ? formatDuration
    : option.kind === "bytes"
    ? (value: number) => `${value} bytes`
    : String;
  const { min, max } = boundsOf(option);
  const bounds = [
    min === -Infinity ? "" : `at least ${unit(min)}`,
    max === Infinity ? "" : `at most ${unit(max)}`,
  ].filter(Boolean).join(" and ");
  return bounds ? `${NOUNS[option.kind]}, ${bounds}` : NOUNS[option.kind];
}

/**
 * Turns one written value into a typed one.
 *
 * @param origin what to call the option in an error: `flag --rate`, `config key "rate"`, …
 * @throws {UsageError}
 */
export function parseValue(option: Option, text: string, origin: string): Kinds[keyof Kinds] {
  const value = PARSERS[option.kind](text);
  const { min, max } = boundsOf(option);
  const outside = typeof value === "number" && (value < min || value > max);
  const unlisted = option.choices && !option.choices.includes(text);
  const misshaped = option.pattern && !option.pattern.test(text);
  if (value === undefined || outside || unlisted || misshaped) {
    throw new UsageError(
      `Invalid value ${JSON.stringify(text)} for ${origin}: allowed is ${allowedValues(option)}`,
    );
  }
  return value;
}

/** What stands on a command line: written values by key, and words that are not flags. */
export interface CommandLine {
  readonly written: ReadonlyMap<string, string>;
  readonly words: readonly string[];
}

/**
 * Reads a command line: `-id a`, `--id a`, `-id=a`, `--id=a`, `-b`, `-b=false`, `--` ends flags.
 *
 * @throws {UsageError} on an unknown flag or a missing value
 */
export function parseCommandLine(args: readonly string[], table: OptionTable): CommandLine {
  const keys = new Map(Object.keys(table).map((key) => [flagName(key), key]));
  const normal: string[] = [];
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg);
    if (!match) {
      words.push(arg);
      continue;
    }
    const name = match[1] === "h" ? "help" : match[1]!;
    const key = keys.get(name);
    if (key === undefined) throw unknownFlag(arg, name, [...keys.keys()]);
    let value = match[2];
    if (value === undefined) {
      if (table[key]!.kind === "boolean") value = "true";
      else value = args[++i];
    }
    if (value === undefined) {
      throw new UsageError(
        `Missing value for flag --${name}: allowed is ${allowedValues(table[key]!)}`,
      );
    }
    // parseArgs takes an empty value for none: a second sign keeps each from being empty.
    normal.push(`--${key}==${value}`);
  }
  const parsed = parseArgs(normal, { string: Object.keys(table) });
  const written = new Map<string, string>();
  for (const key of keys.values()) {
    const value = parsed[key];
    if (typeof value === "string") written.set(key, value.slice(1));
  }
  return { written, words };
}

function unknownFlag(arg: string, name: string, known: string[]): UsageError {
  const near = known.find((candidate) =>
    candidate.startsWith(name) || name.startsWith(candidate) ||
    candidate.replaceAll("-", "") === name
  );
  const hint = near ? `did you mean --${near}?` : "see --help for all flags";
  return new UsageError(`Unknown flag ${JSON.stringify(arg)}: ${hint}`);
}

/**
 * Reads a program's flags in one go, for programs without environment and config file.
 *
 * @throws {UsageError}
 */
export function parseFlags<const T extends OptionTable>(
  args: readonly string[],
  table: T,
): { values: OptionValues<T>; words: readonly string[] } {
  const { written, words } = parseCommandLine(args, table);
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(table)) {
    const text = written.get(key) ?? option.default;
    values[key] = text === undefined
      ? undefined
      : parseValue(option, text, `flag --${flagName(key)}`);
  }
  return { values: Object.freeze(values) as OptionValues<T>, words };
}

const HELP_WIDTH = 80;
const HELP_INDENT = "        ";

/** Writes the list of flags for `--help`, at most 80 columns wide. */
export function describeFlags(table: OptionTable): string {
  return Object.entries(table).map(([key, option]) => {
    const value = option.choices?.join("|") ??
      (option.kind === "boolean" ? "" : option.kind.toUpperCase());
    const isOff = option.kind === "boolean" && option.default === "false";
    const shown = option.default && !isOff ? ` (default ${option.default})` : "";
    return `  --${flagName(key)} ${value}`.trimEnd() + "\n" + wrapHelp(option.help + shown);
  }).join("\n");
}

function wrapHelp(text: string): string {
  const lines = [HELP_INDENT];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    const longer = line === HELP_INDENT ? line + word : `${line} ${word}`;
    if (longer.length <= HELP_WIDTH || line === HELP_INDENT) lines[lines.length - 1] = longer;
    else lines.push(HELP_INDENT + word);
  }
  return lines.join("\n");
}
