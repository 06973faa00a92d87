/**
 * The version of all three programs, as deno.json has it, and the commit of an executable.
 *
 * The commit is put in by tools/compile.ts, in a module that runs before the program; from source
 * there is none.
 */

import denoConfig from "../deno.json" with { type: "json" };

/** What tools/compile.ts leaves on the global object of an executable. */
interface Built {
  readonly DISTRIBUTOR_BUILD?: { readonly commit: string };
}

export const VERSION: string = denoConfig.version;

/** Of the sources that this executable is made of; undefined from source. */
export const COMMIT: string | undefined = (globalThis as Built).DISTRIBUTOR_BUILD?.commit;

/** `0.1.0`, or `0.1.0 (1a2b3c4d5e6f)` of an executable. */
export function describeVersion(): string {
  return COMMIT ? `${VERSION} (${COMMIT})` : VERSION;
}
