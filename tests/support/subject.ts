/** The distributor that a whole system is tested with, when that is an executable. */

import type { LogFields } from "../../src/log.ts";
import { startDistributorProgram } from "./program.ts";

/** One event that the distributor logged. */
export interface LoggedEvent {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** What a test needs of a distributor, wherever it runs. */
export interface Subject {
  readonly url: string;
  events(): LoggedEvent[];
  drain(): Promise<unknown>;
}

export async function startExecutable(flags: readonly string[]): Promise<Subject> {
  const { program, url } = await startDistributorProgram(flags);
  return {
    url,
    events: () =>
      program.events().map(({ level, event, ...fields }) => ({
        level: String(level),
        event,
        fields: fields as LogFields,
      })),
    async drain() {
      program.signal("SIGTERM");
      await program.exits();
    },
  };
}
