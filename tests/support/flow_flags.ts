/**
 * Flags of the distributor in all flow tests, before each test's own: `FLOW_FLAGS="--threads=2"`.
 *
 * So the same tests hold for several threads.
 */

const FLAGS = (Deno.env.get("FLOW_FLAGS") ?? "").split(" ").filter(Boolean);

/** The common flags, then the test's own, which win. */
export function withFlowFlags(own: readonly string[]): string[] {
  return [...FLAGS, ...own];
}

/** Threads beside the main one that such flags ask for. */
export function threadsBeside(flags: readonly string[]): number {
  const last = flags.findLast((flag) => flag.startsWith("--threads="));
  return last ? Number(last.slice("--threads=".length)) - 1 : 0;
}
