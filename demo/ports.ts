/** Finds ports for the demo's programs: the usual ones, or free ones where those are taken. */

import { systemRandom } from "../src/random.ts";

/**
 * Free ports are looked for here: below the range from which systems give ports to outgoing
 * connections, one of which could else take the port of an analyzer while that is down.
 */
const FREE_FROM = 10_000;
const FREE_TO = 30_000;

/** Returns `usual` if it is free and not avoided, else another that is. */
export function choosePort(usual: number, avoid: ReadonlySet<number>): number {
  if (!avoid.has(usual) && isFree(usual)) return usual;
  for (;;) {
    const port = FREE_FROM + Math.floor(systemRandom() * (FREE_TO - FREE_FROM));
    if (!avoid.has(port) && isFree(port)) return port;
  }
}

/** Whether nothing listens on a port of either loopback address. */
function isFree(port: number): boolean {
  return canListen("127.0.0.1", port) && canListen("::1", port);
}

function canListen(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    // Where the machine has no such address, nobody can be there.
    return !(error instanceof Deno.errors.AddrInUse ||
      error instanceof Deno.errors.PermissionDenied);
  }
}
