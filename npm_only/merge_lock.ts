/**
 * Completes deno.lock with the npm part of npm_only/deno.lock: `./denow task lock`.
 *
 * Only a machine that reaches JSR can make the JSR part of deno.lock, so that part is kept. Where
 * an npm entry or a range of deno.json is missing, Deno rewrites the file and drops JSR's hashes.
 */

/** The parts of a lock file, version 5, that matter here. */
export interface Lock {
  version: string;
  /** Range, such as `jsr:@std/cli@^1.0.32`, to the version it resolves to. */
  specifiers: Record<string, string>;
  jsr?: Record<string, { integrity: string; dependencies?: string[] }>;
  npm?: Record<string, { integrity: string }>;
  /** The ranges of deno.json, sorted. */
  workspace?: { dependencies: string[] };
}

/** Takes JSR's part of one lock, npm's part of the other, and the ranges of deno.json. */
export function mergeLocks(jsrLock: Lock, npmLock: Lock, options: { ranges: string[] }): Lock {
  const specifiers = [
    ...Object.entries(jsrLock.specifiers).filter(([range]) => range.startsWith("jsr:")),
    ...Object.entries(npmLock.specifiers).filter(([range]) => range.startsWith("npm:")),
  ];
  return {
    version: jsrLock.version,
    specifiers: Object.fromEntries(specifiers),
    jsr: jsrLock.jsr ?? {},
    npm: npmLock.npm ?? {},
    workspace: { dependencies: options.ranges.toSorted() },
  };
}

if (import.meta.main) {
  const [jsrLock, npmLock, config] = ["deno.lock", "npm_only/deno.lock", "deno.json"]
    .map((path) => JSON.parse(Deno.readTextFileSync(path)));
  const lock = mergeLocks(jsrLock, npmLock, { ranges: Object.values(config.imports) });
  Deno.writeTextFileSync("deno.lock", `${JSON.stringify(lock, null, 2)}\n`);
}
