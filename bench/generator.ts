/** The project's load generator as a child, and its report. */

import denoConfig from "../deno.json" with { type: "json" };
import type { RunReport } from "../generator/report.ts";
import { taskWords } from "./contenders.ts";

/**
 * Runs the generator to its end.
 *
 * @throws {Error} with what it said, when it has no report
 */
export async function runGenerator(
  flags: Readonly<Record<string, string | number>>,
  signal: AbortSignal,
): Promise<RunReport> {
  const [program, ...words] = taskWords(denoConfig.tasks.generator.command);
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const { stdout, stderr } = await new Deno.Command(program!, {
    args: [...words, "--json", "--quiet", ...args],
    cwd: new URL("../", import.meta.url),
    signal,
  }).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout);
  if (!printed.startsWith("{")) {
    throw new Error(`Cannot run the generator: ${decoder.decode(stderr)}`);
  }
  return JSON.parse(printed);
}
