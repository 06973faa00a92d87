/**
 * The distributor: parse → build → serve → signal → drain → exit code.
 *
 * The only file of the service that touches arguments, environment, signals and exit.
 */

import { systemClock } from "./src/clock.ts";
import { COMMAND_OPTIONS, type Config, describeConfig, OPTIONS, readConfig } from "./src/config.ts";
import { type Distributor, type Rest, startDistributor } from "./src/distributor.ts";
import { UsageError } from "./src/errors.ts";
import { armFailpoint } from "./src/failpoint.ts";
import { describeFlags, parseValue } from "./src/flags.ts";
import { createLog, type Log } from "./src/log.ts";
import { probe } from "./src/probe.ts";
import { StorageError } from "./src/queue/storage_error.ts";
import { systemRandom } from "./src/random.ts";
import { onStopSignal } from "./src/signals.ts";
import { runSpoolCommand } from "./src/spool_command.ts";
import { terminal } from "./src/top/terminal.ts";
import { watchTop } from "./src/top/watch.ts";
import { describeVersion, VERSION } from "./src/version.ts";

type Address = Config["options"]["httpAddr"];

const USAGE = `distributor: shares log packets among analyzers by weight

Usage: distributor [flags]
       distributor healthcheck [flags]   asks one that runs with these flags; exits 0 if it lives
       distributor spool check [flags]   looks for damage in a data folder; exits 1 if there is any
       distributor spool export [flags]  writes the packets in a data folder to stdout, one a line
       distributor top [URL]             shows one at work, in the terminal, until Ctrl-C

${describeFlags({ ...OPTIONS, ...COMMAND_OPTIONS })}

Every flag above --config is also an environment variable (DISTRIBUTOR_QUEUE_SIZE) and a key of the
config file (queueSize); --config is the variable DISTRIBUTOR_CONFIG. Flags win over environment,
environment over file, file over default.
Signals: SIGTERM and SIGINT deliver what is queued, then exit; a second one exits at once.
SIGHUP reads the analyzers of the config file again.`;

function main(): void {
  const config = orExit(load);
  if (config.command.help) return console.log(USAGE);
  if (config.command.version) return console.log(`distributor ${describeVersion()}`);
  if (config.command.printConfig) return console.log(describeConfig(config));
  if (config.words[0] === "healthcheck") return void checkHealth(config);
  if (config.words[0] === "spool") return lookIntoSpool(config);
  if (config.words[0] === "top") return void showTop(config);
  orExit(() => armFailpoint(Deno.env.get("DISTRIBUTOR_FAILPOINT")));
  const log = createLog({ format: config.options.logFormat, level: config.options.logLevel });
  const distributor = orExit(() => start(config, log));
  const { queued, dead_letters } = distributor.metrics();
  log.info("distributor started", {
    url: distributor.url,
    version: VERSION,
    analyzers: distributor.registry.size,
    durability: config.options.durability,
    ...(queued.packets + dead_letters > 0 ? { found: queued.packets, dead_letters } : {}),
  });
  onSignals(distributor, { config, log });
  onFaults(distributor, log);
}

function load(): Config {
  const config = readConfig({ args: Deno.args, env: (name) => Deno.env.get(name), readFile });
  const [command] = config.words;
  if (config.command.dead && command !== "spool") {
    throw new UsageError("Flag --dead goes with spool export: see --help");
  }
  const word = config.words[command === "top" ? 2 : command === "healthcheck" ? 1 : 0];
  if (word !== undefined && command !== "spool") {
    throw new UsageError(`Unexpected argument ${JSON.stringify(word)}: see --help for all flags`);
  }
  return config;
}

function lookIntoSpool(config: Config): void {
  Deno.exitCode = orExit(() =>
    runSpoolCommand(config.words.slice(1), {
      folder: config.options.dataDir,
      withDead: config.command.dead,
      write: writeToStdout,
      tell: (line) => console.error(`distributor: ${line}`),
    })
  );
}

function writeToStdout(bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

/** Where a distributor that listens there can be reached from here. */
function originOf({ hostname, port }: Address): string {
  const everywhere = hostname === "0.0.0.0" || hostname === "::";
  const url = new URL("http://localhost");
  if (!everywhere) url.hostname = hostname.includes(":") ? `[${hostname}]` : hostname;
  url.port = String(port);
  return url.origin;
}

/** Asks a distributor with the same address whether it lives: 0 if so, else 1 and a line. */
async function checkHealth(config: Config): Promise<void> {
  const origin = originOf(config.options.httpAddr);
  const verdict = await probe(origin, {
    timeoutMs: config.options.healthCheckTimeout,
    clock: systemClock,
  });
  if (verdict.ok) return;
  console.error(`distributor: no health at ${origin}: ${verdict.detail}`);
  Deno.exit(1);
}

/** Shows a distributor at work: the one at the URL, else that with the same address. */
async function showTop(config: Config): Promise<void> {
  const source = orExit(() => sourceOf(config));
  try {
    await watchTop({ ...terminal(), source, clock: systemClock });
  } catch (error) {
    console.error(`distributor: ${(error as Error).message}`);
    Deno.exit(1);
  }
}

/** @throws {UsageError} */
function sourceOf(config: Config): string {
  const written = config.words[1];
  if (written === undefined) return originOf(config.options.httpAddr);
  const allowed = "a URL such as http://localhost:8080, or host:port";
  const kind = written.includes("://") ? "url" : "address";
  const value = parseValue({ kind, allowed, help: "" }, written, "top");
  return typeof value === "string" ? new URL(value).origin : originOf(value as Address);
}

function start(config: Config, log: Log): Distributor {
  try {
    return startDistributor(config, {
      clock: systemClock,
      random: systemRandom,
      log,
      onFailed: (error) => endFailed(error, log),
      isTraced: isTelemetryOn(),
    });
  } catch (error) {
    if (error instanceof StorageError) throw error;
    const address = config.written.httpAddr.text;
    if (error instanceof Deno.errors.AddrInUse) {
      throw new Error(
        `Cannot listen on ${address}: another program does; stop it, or choose with --http-addr :PORT`,
      );
    }
    throw new Error(`Cannot listen on ${address}: ${(error as Error).message}`);
  }
}

/** Whether the runtime exports telemetry: it reads the same variable. */
function isTelemetryOn(): boolean {
  try {
    return ["1", "true"].includes(Deno.env.get("OTEL_DENO") ?? "");
  } catch {
    // Nobody may turn on what this process is not allowed to see.
    return false;
  }
}

function onSignals(
  distributor: Distributor,
  { config, log }: { config: Config; log: Log },
): void {
  onStopSignal((signal) => {
    log.info("draining", { signal, ...countLeft(distributor), next_signal: "exits at once" });
    void drain(distributor, log);
  }, (signal) => {
    log.error("exiting at once", { signal, ...countLeft(distributor) });
    void exit(log, 1);
  });
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGHUP", () => reload(distributor, { before: config, log }));
  }
}

/** What an end right now would leave undelivered. */
function countLeft(distributor: Distributor): Record<string, number> {
  const { queued, in_flight, dead_letters } = distributor.metrics();
  return { queued: queued.packets, in_flight: in_flight.packets, dead_letters };
}

/** A fault that nobody caught is a bug; what was accepted is still delivered before the end. */
function onFaults(distributor: Distributor, log: Log): void {
  const fail = (event: Event, fault: unknown) => {
    event.preventDefault();
    Deno.exitCode = 1;
    log.error("uncaught fault, draining", {
      error: fault instanceof Error ? fault.stack ?? fault.message : String(fault),
    });
    void drain(distributor, log);
  };
  addEventListener("unhandledrejection", (event) => fail(event, event.reason));
  addEventListener("error", (event) => fail(event, event.error));
}

/** What was acknowledged is on disk, and is delivered after the restart; nothing else may be. */
function endFailed(error: Error, log: Log): void {
  log.error("storage failed, exiting: what was accepted is replayed at the next start", {
    error: error.message,
  });
  Deno.exitCode = 1;
  void exit(log, 1);
}

/** Ends the process once the last lines of its log are out. */
async function exit(log: Log, code?: number): Promise<void> {
  await log.end();
  Deno.exit(code);
}

let isDraining = false;

/** Drains once and ends the process, with code 0 unless something has set another. */
async function drain(distributor: Distributor, log: Log): Promise<void> {
  if (isDraining) return;
  isDraining = true;
  try {
    logStopped(await distributor.drain(), { distributor, log });
  } catch (error) {
    Deno.exitCode = 1;
    log.error("drain failed", { error: String(error) });
  }
  await exit(log);
}

function logStopped(
  rest: Rest,
  { distributor, log }: { distributor: Distributor; log: Log },
): void {
  const { accepted, delivered, dead_lettered, dead_letters, durability } = distributor.metrics();
  // In memory, dead letters end here too.
  const isLoss = durability === "memory" && rest.packets + dead_letters > 0;
  log[isLoss ? "error" : "info"]("distributor stopped", {
    accepted: accepted.packets,
    delivered: delivered.packets,
    dead_lettered: dead_lettered.packets,
    dead_letters,
    durability,
    undelivered_packets: rest.packets,
    undelivered_messages: rest.messages,
  });
}

/** @param handed.before what the process was started with: its options are those until its end */
function reload(
  distributor: Distributor,
  { before, log }: { before: Config; log: Log },
): void {
  try {
    const config = load();
    distributor.reconfigure(config);
    log.info("config file read again", { analyzers: config.analyzers.length });
    const keys = Object.keys(config.written) as (keyof Config["written"])[];
    const options = keys.filter((key) => config.written[key].text !== before.written[key].text);
    if (options.length > 0) log.warn("options changed: that needs a restart", { options });
  } catch (error) {
    log.error("config file not taken over", { error: (error as Error).message });
  }
}

function readFile(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    const why = error instanceof Deno.errors.NotCapable
      ? "Deno's permissions do not let this program read it; put it into the folder config"
      : (error as Error).message;
    throw new UsageError(`Cannot read config file ${JSON.stringify(path)}: ${why}`);
  }
}

/** Faults of the command line and of the start are one line on stderr, not a stack. */
function orExit<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    console.error(`distributor: ${(error as Error).message}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}

if (import.meta.main) main();
