/** What a hundred viewers of the stream cost a distributor that runs as a program. */

import { assert, assertLess } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { cpuSeconds } from "../support/proc.ts";
import { startDistributorProgram } from "../support/program.ts";
import { registerFleet } from "../support/register.ts";

const VIEWERS = 100;
const SECONDS = 5;
/** Processor time that viewers may take from packets, of the one core that there is. */
const MOST_PERCENT = 5;

Deno.test({
  name: "a hundred viewers take less than 5 % of the distributor's core",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { program, url } = await startDistributorProgram([]);
    await using _program = program;
    const fleet = await registerFleet(url, ["a", "b", "c", "d"]);
    const leave = new AbortController();
    const events = Array.from({ length: VIEWERS }, () => 0);
    const viewing = events.map((_, i) =>
      view(url, { signal: leave.signal, seen: () => events[i]!++ })
    );
    await eventually(() => events.every((count) => count >= 2), { name: "all see something" });
    const before = cpuSeconds(program.pid);
    const seen = [...events];
    await eventually(() => events.every((count, i) => count >= seen[i]! + SECONDS), {
      name: `${SECONDS} seconds more`,
      timeoutMs: 30_000,
    });
    const percent = (cpuSeconds(program.pid) - before) / SECONDS * 100;
    const shown = percent.toFixed(1);
    console.log(`${VIEWERS} viewers and the rest of an idle distributor: ${shown} % of a core`);
    assertLess(percent, MOST_PERCENT);
    leave.abort();
    await Promise.all(viewing);
    await fleet.close();
  },
});

/** Reads the stream until told to leave. */
async function view(
  url: string,
  { signal, seen }: { signal: AbortSignal; seen: () => void },
): Promise<void> {
  const response = await fetch(`${url}/api/v1/events`, { signal });
  assert(response.ok, String(response.status));
  try {
    for await (const _ of response.body!) seen();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
