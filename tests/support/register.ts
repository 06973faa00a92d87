/** Registers analyzers at a distributor that runs as a program. */

import { assertEquals } from "@std/assert";
import { Fleet } from "./fleet.ts";

export interface NewAnalyzer {
  readonly id: string;
  readonly url: string;
  /** @default 1 */
  readonly weight?: number;
}

/** Registers an analyzer, as the seed does with curl; resolves to what that was. */
export async function register(
  url: string,
  analyzer: NewAnalyzer,
): Promise<"created" | "updated"> {
  const response = await fetch(`${url}/api/v1/analyzers`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ weight: 1, ...analyzer }),
  });
  const answer = await response.json();
  assertEquals(response.status, answer.status === "created" ? 201 : 200, JSON.stringify(answer));
  return answer.status;
}

/** Starts mock analyzers of equal weight, and registers them. */
export async function registerFleet(url: string, ids: readonly string[]): Promise<Fleet> {
  const fleet = new Fleet();
  for (const id of ids) await register(url, { id, url: (await fleet.add(id, 1)).url });
  return fleet;
}
