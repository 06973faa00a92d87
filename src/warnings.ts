/**
 * What an operator ought to see to though packets are taken: the `warnings` of `GET /readyz`, of the
 * dashboard and of `top`.
 *
 * Pure reading. A warning says what is the matter and, where it is not plain, what to do.
 */

import type { AnalyzerGlance } from "./analyzer_view.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import type { Spool } from "./queue/spool.ts";

/** As the alerts in deploy/prometheus have it: critical is what needs somebody now. */
export type Severity = "critical" | "warning";

export interface Warning {
  readonly severity: Severity;
  readonly text: string;
}

export interface Warned {
  readonly queue: Pick<
    PacketQueue,
    | "capacity"
    | "deadLetters"
    | "ledger"
    | "manyDeadLetters"
    | "oldestAgeSeconds"
  >;
  readonly spool: Pick<Spool, "setAside" | "lost" | "sizes"> | undefined;
  readonly analyzers: readonly Pick<
    AnalyzerGlance,
    "eligible" | "id" | "status"
  >[];
}

/** Of analyzers that are out, so many are named. */
const MAX_NAMED = 3;
/** Of a store, the part that is half the way to refusing packets. */
const FILLING_PART = 0.5;
/** Packets of this age have not just come. */
const WAITING_SECONDS = 10;

/** All warnings of this moment, the worst first. */
export function listWarnings(warned: Warned): Warning[] {
  const isAnyFull = warned.analyzers.some(({ status }) => status.kind === "full");
  const critical = [...nameDamage(warned), ...isAnyFull ? [] : tellNone(warned)];
  const rest = [
    ...isAnyFull ? tellNone(warned) : [],
    ...nameOut(warned),
    ...tellDead(warned),
    ...tellFilling(warned),
  ];
  return [
    ...critical.map((text) => ({ severity: "critical", text }) as const),
    ...rest.map((text) => ({ severity: "warning", text }) as const),
  ];
}

function nameDamage({ spool }: Warned): string[] {
  if (!spool) return [];
  const damage = spool.setAside.map((file) => `a damaged spool was set aside: ${file}`);
  const { packets } = spool.lost;
  return packets === 0 ? damage : [...damage, `${packets} damaged packets were put aside`];
}

function tellNone({ queue: { ledger }, analyzers }: Warned): string[] {
  if (analyzers.some(({ eligible }) => eligible)) return [];
  const waiting = ledger.count("queued").packets + ledger.count("spooled").packets;
  return [`${whyNone(analyzers)}; packets that wait: ${waiting}`];
}

function whyNone(analyzers: Warned["analyzers"]): string {
  if (analyzers.length === 0) {
    return "no analyzer is registered: register one with POST /api/v1/analyzers";
  }
  if (analyzers.every(({ status }) => status.kind === "paused")) {
    return "no analyzer is eligible: all are paused";
  }
  return analyzers.some(({ status }) => status.kind === "full")
    ? "no analyzer takes more for the moment: they are full"
    : "no analyzer is eligible: GET /api/v1/analyzers says why";
}

function nameOut({ analyzers }: Warned): string[] {
  const out = analyzers.filter(({ status }) => status.kind === "ejected");
  const named = out.slice(0, MAX_NAMED).map(({ id, status }) => `out: ${id}, ${status.reason}`);
  const more = out.length - named.length;
  if (more === 0) return named;
  return [...named, `out: ${more} more`];
}

function tellDead({ queue: { deadLetters, manyDeadLetters } }: Warned): string[] {
  const { size } = deadLetters;
  if (size === 0) return [];
  const counted = `dead letters: ${size}; GET /api/v1/dead-letters says why, replay or delete them`;
  return manyDeadLetters ? [counted, manyDeadLetters] : [counted];
}

function tellFilling({ queue, spool, analyzers }: Warned): string[] {
  const told: string[] = [];
  const isAny = analyzers.some(({ eligible }) => eligible);
  const ageSeconds = Math.floor(queue.oldestAgeSeconds());
  if (isAny && ageSeconds >= WAITING_SECONDS) {
    told.push(`packets wait for analyzers, the oldest for ${ageSeconds} s`);
  }
  if (spool) {
    const { usedBytes, arrivalsMaxBytes } = spool.sizes();
    if (usedBytes > FILLING_PART * arrivalsMaxBytes) {
      told.push("more than half of what --spool-max-bytes allows is used");
    }
  } else if (queue.ledger.count("queued").packets > FILLING_PART * queue.capacity) {
    told.push("more than half of the queue is full");
  }
  return told;
}
