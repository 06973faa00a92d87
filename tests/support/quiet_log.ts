/** A log that says nothing but to who listens. */

import type { Log } from "../../src/log.ts";

export function quietLog(listening: Partial<Log> = {}): Log {
  const say = () => {};
  return {
    debug: say,
    info: say,
    warn: say,
    error: say,
    end: () => Promise.resolve(),
    ...listening,
  };
}
