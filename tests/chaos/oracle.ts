/**
 * The laws that hold whatever happens, as pure functions over records kept outside the distributor.
 *
 * I1 nothing acknowledged is lost · I2 nothing is made up or changed · I3 few repeats · I4 bounded
 * memory and descriptors · I5 true shares · I6 it lives and answers · I7 its books balance.
 */

import type { MetricsView } from "../../src/metrics.ts";

export type Law = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7";

/** A law that was broken, and how. */
export interface Violation {
  readonly law: Law;
  readonly detail: string;
}

/** Who knows what of each packet, by id. */
export interface Records {
  readonly attempted: ReadonlySet<string>;
  /** Answered 202. */
  readonly acknowledged: ReadonlySet<string>;
  /** How often analyzers took each, by their own record. */
  readonly delivered: ReadonlyMap<string, number>;
  readonly dead: ReadonlySet<string>;
  /** Still held by the distributor, where that can be known by id. */
  readonly queued: ReadonlySet<string>;
}

/** Acknowledged packets that are nowhere. */
export function findLost({ acknowledged, delivered, dead, queued }: Records): string[] {
  return [...acknowledged].filter((id) => !delivered.has(id) && !dead.has(id) && !queued.has(id));
}

/** Deliveries beyond the first of each packet. */
export function countDuplicates(delivered: ReadonlyMap<string, number>): number {
  let duplicates = 0;
  for (const times of delivered.values()) duplicates += times - 1;
  return duplicates;
}

/** I1: acknowledged − delivered − dead letters − queued is empty. */
export function checkLoss(records: Records): Violation[] {
  const lost = findLost(records);
  return broken("I1", lost.length > 0, `${lost.length} lost, such as ${some(lost)}`);
}

/** I2: what was delivered, was sent; `changed` are ids whose bytes were not those that were sent. */
export function checkOrigin(
  { attempted, delivered, dead }: Records,
  changed: readonly string[],
): Violation[] {
  const strange = [...delivered.keys(), ...dead].filter((id) => !attempted.has(id));
  return [
    ...broken("I2", strange.length > 0, `${strange.length} nobody sent, such as ${some(strange)}`),
    ...broken("I2", changed.length > 0, `${changed.length} changed, such as ${some(changed)}`),
  ];
}

/** I3: repeats are at most what was in flight at kills, and what was answered ambiguously. */
export function checkDuplicates(
  delivered: ReadonlyMap<string, number>,
  allowed: number,
): Violation[] {
  const duplicates = countDuplicates(delivered);
  return broken("I3", duplicates > allowed, `${duplicates} repeats, ${allowed} at most expected`);
}

/** What a process held, in bytes and in descriptors. */
export interface Usage {
  readonly peakBytes: number;
  readonly allowedBytes: number;
  readonly descriptors: number;
  readonly allowedDescriptors: number;
}

/** I4: memory stays within its bound, and descriptors return to where they were. */
export function checkUsage(usage: Usage): Violation[] {
  const { peakBytes, allowedBytes, descriptors, allowedDescriptors } = usage;
  return [
    ...broken("I4", peakBytes > allowedBytes, `${mib(peakBytes)} held of ${mib(allowedBytes)}`),
    ...broken(
      "I4",
      descriptors > allowedDescriptors,
      `${descriptors} descriptors left open, ${allowedDescriptors} at most expected`,
    ),
  ];
}

/**
 * I5: each of n packets goes to an analyzer with the chance of its share; none is further than
 * 4·√(n·p·(1−p)) packets from n·p.
 */
export function checkShares(
  counts: ReadonlyMap<string, number>,
  weights: ReadonlyMap<string, number>,
): Violation[] {
  const n = sum(counts.values());
  const total = sum(weights.values());
  return [...weights].flatMap(([id, weight]) => {
    const p = weight / total;
    const far = Math.abs((counts.get(id) ?? 0) - n * p);
    // A whole packet cannot be divided.
    const bound = 1 + 4 * Math.sqrt(n * p * (1 - p));
    const detail = `${id} got ${counts.get(id) ?? 0} of ${n} for ${(100 * p).toFixed(1)} %`;
    return broken("I5", far > bound, detail);
  });
}

/** I6: `fault` says why it does not live or answer. */
export function checkLife(fault: string | undefined): Violation[] {
  return broken("I6", fault !== undefined, fault ?? "");
}

type Books = Pick<
  MetricsView,
  "accepted" | "delivered" | "dead_lettered" | "queued" | "in_flight"
>;

/** I7: accepted = delivered + dead lettered + queued + in flight, in packets and in messages. */
export function checkBooks(books: Books): Violation[] {
  const { accepted, delivered, dead_lettered, queued, in_flight } = books;
  return (["packets", "messages"] as const).flatMap((unit) => {
    const held = delivered[unit] + dead_lettered[unit] + queued[unit] + in_flight[unit];
    const detail = `${accepted[unit]} ${unit} accepted, ${held} accounted for`;
    return broken("I7", held !== accepted[unit], detail);
  });
}

/** The rise of a straight line through points taken at equal distances, per step (least squares). */
export function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = sum(values) / Math.max(1, values.length);
  const over = values.reduce((all, value, i) => all + (i - middle) * (value - mean), 0);
  const under = values.reduce((all, _, i) => all + (i - middle) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

/** One violation if the law was broken, else none. */
export function broken(law: Law, isBroken: boolean, detail: string): Violation[] {
  return isBroken ? [{ law, detail }] : [];
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function some(ids: readonly string[]): string {
  return ids.slice(0, 3).join(", ");
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
