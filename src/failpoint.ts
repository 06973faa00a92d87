/**
 * Named places at which a test can stop the process, to kill it exactly there.
 *
 * Armed by main.ts with `NAME`, `NAME:N` (the N-th pass) or `NAME:N:tell` (says so and goes on).
 * At that pass one line, `failpoint NAME`, goes to stderr; then the thread blocks for ever.
 */

import { UsageError } from "./errors.ts";

interface Armed {
  readonly name: string;
  readonly tellsOnly: boolean;
  passesLeft: number;
}

let armed: Armed | undefined;

/**
 * Arms one failpoint, or none.
 *
 * @throws {UsageError} when the text is not of the form above
 */
export function armFailpoint(text: string | undefined): void {
  armed = undefined;
  if (text === undefined || text === "") return;
  const match = /^([a-z0-9_]+)(?::([1-9]\d{0,8}))?(?::(tell))?$/.exec(text);
  if (!match) {
    throw new UsageError(
      `Invalid value ${JSON.stringify(text)} for environment variable DISTRIBUTOR_FAILPOINT: ` +
        "allowed is NAME, NAME:N or NAME:N:tell",
    );
  }
  armed = {
    name: match[1]!,
    passesLeft: Number(match[2] ?? 1),
    tellsOnly: match[3] !== undefined,
  };
}

/** Passes a named place. */
export function failpoint(name: string): void {
  if (armed !== undefined && armed.name === name) pass(armed);
}

function pass(point: Armed): void {
  if (--point.passesLeft !== 0) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`failpoint ${point.name}\n`));
  if (!point.tellsOnly) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
