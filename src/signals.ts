/** The signals that end a program: the first one asks it to, a second one does not ask. */

import { type Clock, systemClock } from "./clock.ts";

/**
 * Under a task runner a signal comes twice at once, to the group of processes and from the runner:
 * within this time it is one.
 */
const ECHO_MS = 300;

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/**
 * Calls `stop` on the first SIGINT or SIGTERM, and `abort` on a later one.
 *
 * @param abort by default ends the process with code 1
 * @returns stops listening
 */
export function onStopSignal(
  stop: (signal: Deno.Signal) => void,
  abort: (signal: Deno.Signal) => void = () => Deno.exit(1),
  clock: Clock = systemClock,
): () => void {
  let firstMs: number | undefined;
  const listeners = SIGNALS.map((signal) => {
    const listener = () => {
      if (firstMs === undefined) {
        firstMs = clock.monotonicMs();
        stop(signal);
      } else if (clock.monotonicMs() - firstMs > ECHO_MS) abort(signal);
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return () => {
    for (const remove of listeners) remove();
  };
}
