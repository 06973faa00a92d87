/** Options of the bench: what to measure, how long, and where the results go. */

import { OPTIONS as DISTRIBUTOR_OPTIONS } from "../src/config.ts";
import { UsageError } from "../src/errors.ts";
import { type OptionTable, type OptionValues, parseFlags } from "../src/flags.ts";

export const SECTIONS = [
  "throughput",
  "latency",
  "memory",
  "shares",
  "draw",
  "threads",
  "scale",
] as const;
export type Section = typeof SECTIONS[number];

export const OPTIONS = {
  quick: {
    kind: "boolean",
    default: "false",
    help: "10 messages, batches, under a minute; prints one line of ratios",
  },
  only: { kind: "string", choices: SECTIONS, help: `one part: ${SECTIONS.join(", ")}` },
  rounds: { kind: "integer", default: "4", min: 1, max: 100, help: "rounds of alternating runs" },
  runTime: {
    kind: "duration",
    default: "2s",
    min: 1000,
    help: "length of one run, in whole seconds",
  },
  memoryTime: { kind: "duration", default: "60s", min: 20_000, help: "length of the memory run" },
  bin: { kind: "string", help: "executable to measure instead of the source" },
  durability: {
    kind: "string",
    default: "memory",
    choices: DISTRIBUTOR_OPTIONS.durability.choices,
    help: "of the distributor",
  },
  distributorArgs: {
    kind: "string",
    default: "",
    help: "more flags for the distributor, separated by blanks",
  },
  json: { kind: "string", help: "file to write everything to, with all raw rounds" },
  writeReadme: {
    kind: "boolean",
    default: "false",
    help: "put the results of a whole run between the bench marks of README.md",
  },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

export type Settings = OptionValues<typeof OPTIONS>;

/**
 * Reads the command line.
 *
 * @throws {UsageError}
 */
export function parseSettings(args: readonly string[]): Settings {
  const { values, words } = parseFlags(args, OPTIONS);
  if (words.length > 0) {
    throw new UsageError(`Unexpected argument ${JSON.stringify(words[0])}: only flags are allowed`);
  }
  if (values.quick && values.only) throw new UsageError("Flag --quick does not go with --only");
  if (values.writeReadme && (values.quick || values.only)) {
    throw new UsageError("Flag --write-readme needs a whole run, without --quick and --only");
  }
  return values;
}

/** Whether a section is to be measured. */
export function wants(settings: Settings, section: Section): boolean {
  return settings.quick ? section === "throughput" : (settings.only ?? section) === section;
}
