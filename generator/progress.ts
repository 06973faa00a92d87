/** Shows a run under way on stderr: a bar on a terminal, else a line every five seconds. */

import { ProgressBar } from "@std/cli/unstable-progress-bar";
import { type Clock } from "../src/clock.ts";
import { formatProgress, type Tally } from "./report.ts";

const LINE_INTERVAL_MS = 5000;
const BAR_UPDATE_MS = 200;

export interface ProgressOptions {
  /** Packets in all; Infinity when unknown. */
  readonly total: number;
  readonly terminal: boolean;
  readonly clock: Clock;
  readonly writeLine: (line: string) => void;
}

/** Starts showing; the returned function ends it. */
export function showProgress(tally: Tally, options: ProgressOptions): () => Promise<void> {
  return options.terminal && options.total !== Infinity
    ? showBar(tally, options)
    : showLines(tally, options);
}

function showBar(tally: Tally, { total, clock }: ProgressOptions): () => Promise<void> {
  const bar = new ProgressBar({
    max: total,
    barLength: 20,
    clear: true,
    formatter: ({ styledTime, progressBar }) =>
      `${styledTime} ${progressBar} ${formatProgress(tally)}`,
  });
  const cancel = repeat(() => bar.value = tally.sent, { clock, intervalMs: BAR_UPDATE_MS });
  return async () => {
    cancel();
    await bar.stop();
  };
}

function showLines(tally: Tally, { clock, writeLine }: ProgressOptions): () => Promise<void> {
  const startMs = clock.monotonicMs();
  const cancel = repeat(() => {
    const seconds = Math.round((clock.monotonicMs() - startMs) / 1000);
    writeLine(`${seconds} s  ${formatProgress(tally)}`);
  }, { clock, intervalMs: LINE_INTERVAL_MS });
  return () => Promise.resolve(cancel());
}

function repeat(fn: () => void, { clock, intervalMs }: { clock: Clock; intervalMs: number }) {
  const again = () => {
    fn();
    cancel = clock.after(intervalMs, again);
  };
  let cancel = clock.after(intervalMs, again);
  return () => cancel();
}
