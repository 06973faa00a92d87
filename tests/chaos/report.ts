/** What came of a run of the matrix, as text; pure. */

import type { Finding } from "./trial.ts";

/** What came of all trials of one fault. */
export interface Result {
  readonly name: string;
  /** Why it was not run; its trials are none then. */
  readonly notRun?: string;
  readonly trials: readonly { readonly seed: number; readonly finding: Finding }[];
}

const HEAD = ["fault", "runs", "acknowledged", "lost", "duplicates", "recovery ms", "violations"];

/** A table with a line for each fault, then what was not run and why. */
export function formatSummary(results: readonly Result[]): string {
  const ran = results.filter(({ notRun }) => notRun === undefined);
  const rows = [HEAD, ...ran.map(toRow)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const table = rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  );
  const missing = results.filter(({ notRun }) => notRun !== undefined)
    .map(({ name, notRun }) => `not run: ${name}: ${notRun}`);
  return [...table, ...missing].join("\n");
}

/** Whether any law was broken in any trial. */
export function hasViolations(results: readonly Result[]): boolean {
  return results.some(({ trials }) => trials.some(({ finding }) => finding.violations.length > 0));
}

/** A line for each law that was broken, with how to repeat it. */
export function formatViolations(
  name: string,
  { seed, finding, mode }: { seed: number; finding: Finding; mode: string },
): string[] {
  const repeat = `./denow task chaos${mode} --only ${name} --seed ${seed} --runs 1`;
  const seen = new Set<string>();
  for (const { law, detail } of finding.violations) seen.add(`  ${law}: ${detail}`);
  return seen.size === 0 ? [] : [...seen, `  again: ${repeat}`];
}

function toRow({ name, trials }: Result): string[] {
  const sum = (pick: (finding: Finding) => number) =>
    String(trials.reduce((total, { finding }) => total + pick(finding), 0));
  const slowest = Math.max(0, ...trials.map(({ finding }) => finding.recoveryMs));
  return [
    name,
    String(trials.length),
    sum((finding) => finding.acknowledged),
    sum((finding) => finding.lost),
    sum((finding) => finding.duplicates),
    String(Math.round(slowest)),
    sum((finding) => finding.violations.length),
  ];
}
