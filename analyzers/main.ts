/**
 * The mock analyzer as a program: flags → listen → register → signal → deregister → exit code.
 *
 * The only file of it that touches Deno.args, the console, signals and exit.
 */

import { UsageError } from "../src/errors.ts";
import { describeFlags, type OptionTable, type OptionValues, parseFlags } from "../src/flags.ts";
import { onStopSignal } from "../src/signals.ts";
import { describeVersion } from "../src/version.ts";
import { FAULT_OPTIONS, pickKnobs } from "./faults.ts";
import { ListenError } from "./listener.ts";
import { type MockAnalyzer, startMockAnalyzer } from "./mock_analyzer.ts";
import { type Registration, startRegistration } from "./registration.ts";

const OPTIONS = {
  id: {
    kind: "string",
    default: "analyzer1",
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
    allowed: "1 to 64 of the characters A-Z a-z 0-9 . _ -",
    help: "name under which it registers and reports",
  },
  port: {
    kind: "integer",
    default: "8081",
    min: 0,
    max: 65535,
    help: "port; 0 takes any free one",
  },
  host: {
    kind: "string",
    default: "localhost",
    help: "address to listen on: localhost is 127.0.0.1 and ::1, 0.0.0.0 is every interface",
  },
  controlPort: {
    kind: "integer",
    min: 0,
    max: 65535,
    help: "second port for /stats and /faults, which no fault closes; 0 takes any free one",
  },
  weight: {
    kind: "number",
    default: "1",
    min: Number.MIN_VALUE,
    max: 1e6,
    allowed: "a number above 0 and at most 1000000",
    help: "relative weight it registers with",
  },
  distributor: { kind: "url", help: "distributor to register at, such as http://localhost:8080" },
  advertise: {
    kind: "url",
    help: "URL it registers with, if not http://HOST:PORT; needed with --host 0.0.0.0",
  },
  batches: { kind: "boolean", default: "true", help: "offer and accept NDJSON batches" },
  remember: {
    kind: "integer",
    default: "1000000",
    min: 2,
    max: 10_000_000,
    help: "packet ids kept to tell repeats, at most",
  },
  journal: {
    kind: "boolean",
    default: "false",
    help: "print each packet's id on stdout before its answer, one a line; all else on stderr",
  },
  quiet: {
    kind: "boolean",
    default: "false",
    help: "print nothing but what keeps it from starting",
  },
  ...FAULT_OPTIONS,
  version: { kind: "boolean", default: "false", help: "print the version and exit" },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

type Settings = OptionValues<typeof OPTIONS>;

const USAGE = `Usage: analyzer [flags]

A mock log analyzer: counts what POST /analyze brings it, one packet as JSON or
a batch as NDJSON.
GET /health, GET and DELETE /stats, GET, PATCH and DELETE /faults.

${describeFlags(OPTIONS)}

Example:
  analyzer -id analyzer1 -port 8081 -weight 0.4 -distributor http://localhost:8080`;

function readSettings(args: readonly string[]): Settings {
  const { values, words } = parseFlags(args, OPTIONS);
  if (words.length > 0) {
    throw new UsageError(`Unexpected argument ${JSON.stringify(words[0])}: see --help`);
  }
  if (values.refuse && values.controlPort === undefined) {
    throw new UsageError("Flag --refuse needs --control-port: else nothing could turn it off");
  }
  const everywhere = values.host === "0.0.0.0" || values.host === "::";
  if (values.distributor && !values.advertise && everywhere) {
    throw new UsageError(
      `Flag --host ${values.host} with --distributor needs --advertise: ` +
        "the URL under which the distributor reaches this analyzer",
    );
  }
  return values;
}

function describeStart(analyzer: MockAnalyzer): string {
  const control = analyzer.controlUrl ? `, control on ${analyzer.controlUrl}` : "";
  return `${analyzer.id} is listening on ${analyzer.url}${control}; Ctrl-C stops it`;
}

function describeEnd(analyzer: MockAnalyzer): string {
  const stats = analyzer.stats();
  return `${stats.id} stopped: ${stats.packets} packets, ${stats.messages} messages, ` +
    `${stats.distinct_packets} distinct, ${stats.repeated_packets} repeated`;
}

function register(analyzer: MockAnalyzer, settings: Settings): Registration | undefined {
  const { id, weight, distributor, advertise, quiet } = settings;
  if (!distributor) return undefined;
  return startRegistration({
    distributorUrl: distributor,
    analyzer: { id, weight, url: advertise ?? analyzer.url },
    report: (line) => quiet || console.error(line),
  });
}

/** One write a request, done before its answer: a kill -9 loses no id of an answered packet. */
function printIds(packetIds: readonly string[]): void {
  let rest = new TextEncoder().encode(packetIds.map((id) => `${id}\n`).join(""));
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

async function run(settings: Settings): Promise<void> {
  const write = settings.journal ? console.error : console.log;
  const print = (line: string) => settings.quiet || write(line);
  const analyzer = await startMockAnalyzer({
    ...settings,
    faults: pickKnobs(settings),
    journal: settings.journal ? printIds : undefined,
  });
  const signalled = new Promise<Deno.Signal>((resolve) => onStopSignal(resolve));
  print(describeStart(analyzer));
  const registration = register(analyzer, settings);
  await signalled;
  await registration?.end();
  await analyzer.close();
  print(describeEnd(analyzer));
}

/** Runs the program and returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const settings = readSettings(args);
    if (settings.help) console.log(USAGE);
    else if (settings.version) console.log(`analyzer ${describeVersion()}`);
    else await run(settings);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(error.message);
      return 2;
    }
    if (error instanceof ListenError) {
      const hint = error.inUse ? "; stop what uses it, or choose another (0 is any free one)" : "";
      console.error(error.message + hint);
      return 1;
    }
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
