/**
 * Runs the fault matrix against the distributor as a child process: `deno task chaos`.
 *
 * Exit code 1 if any law of the oracle was broken; what cannot run here is listed with the reason.
 */

import { UsageError } from "../../src/errors.ts";
import { describeFlags, type OptionTable, type OptionValues, parseFlags } from "../../src/flags.ts";
import { seededRandom } from "../../src/random.ts";
import { MATRIX } from "./matrix.ts";
import { formatSummary, formatViolations, hasViolations, type Result } from "./report.ts";
import { endAll } from "./rig.ts";
import { findMissing } from "./surroundings.ts";
import type { Fault, Finding, Need, Trial } from "./trial.ts";

const OPTIONS = {
  all: {
    kind: "boolean",
    default: "false",
    help: "everything, at full counts and times; more than an hour",
  },
  only: {
    kind: "string",
    default: "",
    help: "the fault of this name, or else those whose names contain it; empty is all",
  },
  seed: {
    kind: "integer",
    min: 0,
    max: 2 ** 31,
    help: "seed of the first trial of each fault, the next has one more (default: any)",
  },
  runs: { kind: "integer", min: 1, max: 1000, help: "trials of each fault, not as many as usual" },
  list: { kind: "boolean", default: "false", help: "print the faults and exit" },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

type Settings = OptionValues<typeof OPTIONS>;

/** A trial that is not over by then is a violation itself. */
const TRIAL_LIMIT_MS = { some: 240_000, all: 3_600_000 };

const USAGE = `Usage: deno task chaos [flags]

${describeFlags(OPTIONS)}`;

interface Plan {
  readonly settings: Settings;
  readonly firstSeed: number;
  readonly missing: ReadonlyMap<Need, string>;
}

async function runFault(fault: Fault, { settings, firstSeed, missing }: Plan): Promise<Result> {
  const need = fault.needs?.find((need) => missing.has(need));
  if (need) return { name: fault.name, notRun: missing.get(need)!, trials: [] };
  const usual = settings.all ? fault.runs.all : fault.runs.some;
  if (usual === 0) return { name: fault.name, notRun: "only with --all", trials: [] };
  const trials: { seed: number; finding: Finding }[] = [];
  for (let i = 0; i < (settings.runs ?? usual); i++) {
    const seed = firstSeed + i;
    const durability = missing.has("disk") ? "memory" : "disk";
    const trial = { seed, random: seededRandom(seed), isFull: settings.all, durability } as const;
    const startedMs = performance.now();
    const finding = await runTrial(fault, trial);
    trials.push({ seed, finding });
    printTrial(fault.name, { seed, finding, tookMs: performance.now() - startedMs, settings });
  }
  return { name: fault.name, trials };
}

/** What goes wrong in a trial itself counts too: a fault that was not seen to pass has not. */
async function runTrial(fault: Fault, trial: Trial): Promise<Finding> {
  const limitMs = TRIAL_LIMIT_MS[trial.isFull ? "all" : "some"];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([fault.run(trial), limit]);
  } catch (error) {
    const violations = [{ law: "I6" as const, detail: String((error as Error).message) }];
    return { acknowledged: 0, lost: 0, duplicates: 0, recoveryMs: 0, violations };
  } finally {
    clearTimeout(timer);
  }
}

function printTrial(
  name: string,
  { seed, finding, tookMs, settings }: {
    seed: number;
    finding: Finding;
    tookMs: number;
    settings: Settings;
  },
): void {
  const mark = finding.violations.length === 0 ? "ok  " : "FAIL";
  console.log(`${mark} ${name}, seed ${seed}, ${(tookMs / 1000).toFixed(1)} s`);
  const mode = settings.all ? " --all" : "";
  for (const line of formatViolations(name, { seed, finding, mode })) console.log(line);
}

/** The one of that name, or else all whose names contain it. */
function selectFaults(only: string): readonly Fault[] {
  const named = MATRIX.filter(({ name }) => name === only);
  return named.length > 0 ? named : MATRIX.filter(({ name }) => name.includes(only));
}

async function run(settings: Settings): Promise<number> {
  const faults = selectFaults(settings.only);
  if (faults.length === 0) {
    throw new UsageError(`Flag --only: no fault is called ${JSON.stringify(settings.only)}`);
  }
  const firstSeed = settings.seed ?? Math.floor(Math.random() * 1_000_000);
  console.log(`chaos: ${faults.length} faults, first seed ${firstSeed}`);
  const plan = { settings, firstSeed, missing: await findMissing() };
  const results: Result[] = [];
  for (const fault of faults) results.push(await runFault(fault, plan));
  await endAll();
  console.log(`\n${formatSummary(results)}`);
  return hasViolations(results) ? 1 : 0;
}

/** Runs the suite and returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const { values, words } = parseFlags(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected argument ${words[0]}: see --help`);
    if (values.help) console.log(USAGE);
    else if (values.list) console.log(MATRIX.map(({ name }) => name).join("\n"));
    else return await run(values);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`chaos: ${error.message}`);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
