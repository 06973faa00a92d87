/**
 * The law of the house: every acknowledged packet is at an analyzer, a dead letter or still queued.
 *
 * Counted by packet id at the analyzers, never by the distributor's own counters alone.
 */

import { assert, assertEquals } from "@std/assert";
import type { MetricsView } from "../../src/metrics.ts";
import type { Agent } from "./agent.ts";
import type { Seen } from "./fleet.ts";

/** accepted = delivered + dead lettered + queued + in flight, exactly. */
export function assertBalanced(metrics: MetricsView): void {
  const { accepted, delivered, dead_lettered, queued, in_flight } = metrics;
  for (const unit of ["packets", "messages"] as const) {
    assertEquals(
      delivered[unit] + dead_lettered[unit] + queued[unit] + in_flight[unit],
      accepted[unit],
      `${unit} in the books: ${
        JSON.stringify({ accepted, delivered, dead_lettered, queued, in_flight })
      }`,
    );
  }
}

/** Where the acknowledged packets are. */
export interface Whereabouts {
  readonly agent: Agent;
  readonly seen: Seen;
  /** Ids of dead letters, also of those that an operator has deleted. */
  readonly dead: Iterable<string>;
  readonly queued: number;
}

/** Fails unless acknowledged = distinct at the analyzers + dead letters + queued, exactly. */
export function assertConserved({ agent, seen, dead, queued }: Whereabouts): void {
  const deadIds = new Set(dead);
  const missing: string[] = [];
  for (const id of agent.acknowledged.keys()) {
    if (!seen.has(id) && !deadIds.has(id)) missing.push(id);
  }
  const shown = missing.slice(0, 3).join(", ");
  assertEquals(
    missing.length,
    queued,
    `acknowledged, and nowhere to be found but queued: ${shown}`,
  );
  for (const id of seen.keys()) {
    assert(agent.attempted.has(id), `an analyzer processed ${id}, which nobody sent`);
  }
  for (const id of deadIds) {
    assert(agent.attempted.has(id), `${id} is a dead letter, which nobody sent`);
  }
}
