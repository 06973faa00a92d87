/** What the demo claims, held against what was counted. Pure. */

import type { RunReport } from "../generator/report.ts";
import type { MetricsView } from "../src/metrics.ts";

/** How far a share measured over a few seconds may be from its target. */
export const TOLERANCE = 0.01;

/** A claim, and whether it holds. */
export interface Verdict {
  readonly holds: boolean;
  readonly text: string;
}

/** Shares of the messages delivered between two readings. */
export interface Measured {
  readonly shares: readonly number[];
  readonly messages: number;
}

/** Measures the share of each analyzer of `ids`. */
export function measureShares(
  ids: readonly string[],
  { from, to }: { from: MetricsView; to: MetricsView },
): Measured {
  const counts = ids.map((id) => messagesOf(to, id) - messagesOf(from, id));
  const messages = counts.reduce((sum, count) => sum + count, 0);
  return { shares: counts.map((count) => messages > 0 ? count / messages : 0), messages };
}

function messagesOf({ analyzers }: MetricsView, id: string): number {
  return analyzers.find((analyzer) => analyzer.id === id)?.delivered.messages ?? 0;
}

/** The share that each weight is of all; a weight of 0 stands for who is out. */
export function sharesOf(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => total > 0 ? weight / total : 0);
}

/** Judges whether every share is within {@link TOLERANCE} of its target. */
export function judgeShares(
  claim: string,
  { shares, messages }: Measured,
  targets: readonly number[],
): Verdict {
  const holds = messages > 0 && shares.length === targets.length &&
    shares.every((share, i) => Math.abs(share - targets[i]!) <= TOLERANCE);
  return {
    holds,
    text: `${claim} within 1 point: ${formatShares(shares)} ` +
      `(asked ${targets.map((target) => Number(target.toFixed(3))).join(" ")}), over ${
        groupDigits(messages)
      } messages`,
  };
}

/** Judges whether a generator's packets all came in, and were refused with nothing but 503. */
export function judgeBurst(report: RunReport): Verdict {
  const refusals = report.by_status["503"] ?? 0;
  const others = Object.keys(report.by_status).filter((code) => code !== "202" && code !== "503");
  const holds = report.sent > 0 && report.accepted === report.sent && others.length === 0;
  const told = refusals === 0
    ? "none was refused"
    : `${groupDigits(refusals)} refusals, all 503, each sent again until it got 202`;
  const odd = [
    ...others.map((code) => `${report.by_status[code]} answers ${code}`),
    ...Object.entries(report.by_fault).map(([fault, count]) => `${count} ${fault}`),
  ].join(", ");
  return {
    holds,
    text: `burst of ${groupDigits(report.achieved_rate)} packets/s ` +
      `(asked ${groupDigits(report.target_rate)}): ${groupDigits(report.accepted)} of ` +
      `${groupDigits(report.sent)} accepted, ${odd === "" ? told : odd}`,
  };
}

/** Where the packets that were answered 202 have to be, counted by three parties. */
export interface Accounts {
  /** 202s that the generators got. */
  readonly accepted: number;
  /** Packet ids that the analyzers wrote down, and how many of them are distinct. */
  readonly received: number;
  readonly distinct: number;
  /** Of the distributor. */
  readonly deadLetters: number;
  readonly queued: number;
}

/** Judges whether accepted = distinct ids at the analyzers + dead letters + queued. */
export function judgeAccounts(accounts: Accounts): Verdict {
  const { accepted, received, distinct, deadLetters, queued } = accounts;
  const repeats = received - distinct;
  return {
    holds: accepted > 0 && accepted === distinct + deadLetters + queued,
    text: `every packet is accounted for: ${groupDigits(accepted)} answered 202 = ` +
      `${groupDigits(distinct)} distinct ids at the analyzers + ${deadLetters} dead letters + ` +
      `${queued} queued` +
      (repeats > 0 ? ` (${repeats} came twice: delivery is at least once)` : ""),
  };
}

/** Judges whether the distributor's own counters added up each time they were read. */
export function judgeBooks({ count, unbalanced }: { count: number; unbalanced: number }): Verdict {
  return {
    holds: count > 0 && unbalanced === 0,
    text: `accepted = delivered + dead letters + queued + in flight in ` +
      `${count - unbalanced} of ${count} readings`,
  };
}

/** Shares stand in the analyzers' order. */
export function formatShares(shares: readonly number[]): string {
  return shares.map((share) => share.toFixed(3)).join(" ");
}

export function groupDigits(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
