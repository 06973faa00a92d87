/**
 * The demo as a program: flags → run → exit code.
 *
 * The only file of it that touches Deno.args and exit.
 */

import { UsageError } from "../src/errors.ts";
import { describeFlags, type OptionTable, type OptionValues, parseFlags } from "../src/flags.ts";
import { PROGRAMS } from "./processes.ts";
import { run } from "./run.ts";

const OPTIONS = {
  keep: {
    kind: "boolean",
    default: "false",
    help: "leave it running afterwards, until Ctrl-C",
  },
  bin: {
    kind: "string",
    help: "folder of the executables to run, such as dist, instead of the sources",
  },
  freePorts: {
    kind: "boolean",
    default: "false",
    help: "take any free ports, not 8080 to 8084",
  },
  plain: { kind: "boolean", default: "false", help: "plain lines on a terminal too" },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

type Settings = OptionValues<typeof OPTIONS>;

const USAGE = `Usage: demo [flags]

Runs a distributor, four analyzers and a generator on this machine, kills an
analyzer, brings it back, sends a burst, and says at the end which claims hold.
Takes less than a minute.
Exit code 0: all hold; 1: not all, or interrupted.

${describeFlags(OPTIONS)}`;

/** @throws {UsageError} */
function readSettings(args: readonly string[]): Settings {
  const { values, words } = parseFlags(args, OPTIONS);
  if (words.length > 0) {
    throw new UsageError(`Unexpected argument ${JSON.stringify(words[0])}: see --help`);
  }
  const missing = Object.keys(PROGRAMS).find((name) =>
    values.bin && !isFile(`${values.bin}/${name}`)
  );
  if (missing) {
    throw new UsageError(
      `Invalid value ${JSON.stringify(values.bin)} for flag --bin: there is no ${missing} in it`,
    );
  }
  return values;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs the program and returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const settings = readSettings(args);
    if (settings.help) {
      console.log(USAGE);
      return 0;
    }
    return await run(settings) === "held" ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
