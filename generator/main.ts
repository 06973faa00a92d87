/**
 * Load generator: sends log packets to a distributor at a steady rate and reports what came back.
 *
 * parse → connect → send → signal → report → exit code; the only file of the generator that
 * touches arguments, signals and the exit code.
 */

import { systemClock } from "../src/clock.ts";
import { UsageError } from "../src/errors.ts";
import { describeFlags } from "../src/flags.ts";
import { randomId, systemRandom } from "../src/random.ts";
import { onStopSignal } from "../src/signals.ts";
import { describeVersion } from "../src/version.ts";
import { TcpSender } from "./sender.ts";
import { FetchSender } from "./fetch_sender.ts";
import { OPTIONS, parseSettings, type Settings } from "./options.ts";
import { Schedule } from "./pacer.ts";
import { PacketFactory } from "./packets.ts";
import { showProgress } from "./progress.ts";
import { describeRun, formatReport, type RunFacts, type Tally } from "./report.ts";
import { Run } from "./run.ts";
import type { Sender } from "./sender.ts";

const USAGE = `Usage: generator [flags]

Sends log packets to a distributor at a steady rate, whatever the answers do,
and reports what was accepted and how long that took, measured from the time
each packet was due.

${describeFlags(OPTIONS)}`;

async function main(args: readonly string[]): Promise<number> {
  let settings: Settings;
  try {
    settings = parseSettings(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
  if (settings.help || settings.version) {
    console.log(settings.help ? USAGE : `generator ${describeVersion()}`);
    return 0;
  }
  const url = new URL(settings.url.replace(/\/*$/, "/api/v1/logs"));
  const Transport = url.protocol === "http:" ? TcpSender : FetchSender;
  const sender = new Transport(url, { timeoutMs: settings.timeoutMs });
  const unreachable = await tryToConnect(sender);
  if (unreachable) {
    console.error(
      `Cannot connect to ${settings.url}: ${unreachable}; start the distributor there, ` +
        `or name another with --url`,
    );
    return 1;
  }
  return await generate(settings, sender);
}

async function tryToConnect(sender: Sender): Promise<string | undefined> {
  try {
    await sender.connect();
  } catch (error) {
    sender.close();
    return error instanceof Error ? error.message : String(error);
  }
}

async function generate(settings: Settings, sender: Sender): Promise<number> {
  const seed = settings.seed ?? Math.floor(systemRandom() * 2 ** 32);
  const runId = randomId().slice(0, 8);
  const { rate, packets, durationMs, timeoutMs, retry, concurrency } = settings;
  const schedule = new Schedule({ ratePerSecond: rate, packets, durationMs });
  const run = new Run({
    schedule,
    packets: new PacketFactory({ ...settings, runId, seed }),
    sender,
    clock: systemClock,
    concurrency,
    retry,
    // What is overdue at the end is still worth one request's time; with --retry nothing is lost.
    giveUpMs: retry ? Infinity : durationMs + timeoutMs,
  });
  const stopProgress = settings.quiet ? undefined : showProgress(run.tally, {
    total: schedule.total,
    terminal: Deno.stderr.isTerminal(),
    clock: systemClock,
    writeLine: (line) => console.error(line),
  });
  const ignoreSignals = onStopSignal(() => run.interrupt());
  const tally = await run.send();
  ignoreSignals();
  await stopProgress?.();
  return report(tally, { settings, seed, runId });
}

function report(tally: Tally, facts: RunFacts): number {
  const described = describeRun(tally, facts);
  console.log(facts.settings.json ? JSON.stringify(described) : formatReport(described));
  const understood = tally.accepted > 0 || tally.refused > 0;
  if (tally.sent === 0 || understood || tally.interrupted) return 0;
  const statuses = [...tally.byStatus.keys()].join(", ");
  console.error(
    `${statuses ? `Only answers of ${statuses}` : "No answer"} from ${facts.settings.url}: ` +
      "is that a distributor's base URL, such as http://localhost:8080?",
  );
  return 1;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
