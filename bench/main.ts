/**
 * The bench: `deno task bench` measures the distributor beside HAProxy and NGINX on this machine.
 *
 * flags → programs → sections → tables → exit code: 1 when the books of a run do not agree, 2 when
 * something is missing. Whatever happens, nothing keeps running.
 */

import { UsageError } from "../src/errors.ts";
import { describeFlags } from "../src/flags.ts";
import { onStopSignal } from "../src/signals.ts";
import { replaceSection } from "../tools/docs.ts";
import { Children } from "./children.ts";
import { removeData } from "./contenders.ts";
import { describeMachine, findTools, readMaxConnections, type Tools } from "./machine.ts";
import { OPTIONS, parseSettings, type Settings } from "./options.ts";
import {
  describeSetting,
  faultsOf,
  formatQuick,
  formatReadme,
  formatTable,
  type Results,
  tablesOf,
} from "./report.ts";
import { measureAll, planOf } from "./sections.ts";

const USAGE = `Usage: deno task bench [flags]

Measures the distributor beside HAProxy and NGINX on this machine, in about a quarter of an hour.
Needs Debian's packages nginx, haproxy and wrk.

${describeFlags(OPTIONS)}`;

const README = new URL("../README.md", import.meta.url);

async function main(args: readonly string[]): Promise<number> {
  try {
    const settings = parseSettings(args);
    if (settings.help) {
      console.log(USAGE);
      return 0;
    }
    if (settings.writeReadme) checkReadme();
    const tools = findTools();
    return await bench(settings, { tools, maxConnections: readMaxConnections() });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
}

/** A quarter of an hour is too long to find out at its end. */
function checkReadme(): void {
  try {
    replaceSection(Deno.readTextFileSync(README), "bench", "");
  } catch (error) {
    throw new UsageError(`README.md cannot be written: ${(error as Error).message}`);
  }
}

async function bench(
  settings: Settings,
  { tools, maxConnections }: { tools: Tools; maxConnections: number },
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "bench-" });
  // NGINX's worker runs as another user than root.
  await Deno.chmod(folder, 0o755);
  const children = new Children(folder);
  const interrupted = new AbortController();
  const ignoreSignals = onStopSignal(() => interrupted.abort());
  children.onDeath = (name, how) => {
    console.error(`${name} ended by itself: ${how}`);
    interrupted.abort();
  };
  const results: Results = {
    date: new Date().toISOString(),
    machine: await describeMachine(tools),
    durability: settings.durability,
    rounds: planOf(settings).rounds,
    seconds: planOf(settings).seconds,
  };
  try {
    await measureAll(results, settings, {
      tools,
      maxConnections,
      children,
      signal: interrupted.signal,
      note: (line) => console.error(line),
    });
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    await children.stopAll();
    await Deno.remove(folder, { recursive: true });
    removeData();
    ignoreSignals();
  }
  if (interrupted.signal.aborted) return 1;
  return report(results, settings);
}

function report(results: Results, settings: Settings): number {
  if (settings.quick) console.log(formatQuick(results.throughput ?? []));
  else console.log([describeSetting(results), ...tablesOf(results).map(formatTable)].join("\n\n"));
  const faults = faultsOf(results);
  if (settings.json) {
    Deno.writeTextFileSync(settings.json, `${JSON.stringify({ ...results, faults }, null, 2)}\n`);
  }
  for (const fault of faults) console.error(`The books do not agree: ${fault}`);
  if (faults.length > 0) return 1;
  if (settings.writeReadme) {
    const text = Deno.readTextFileSync(README);
    Deno.writeTextFileSync(README, replaceSection(text, "bench", formatReadme(results)));
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
