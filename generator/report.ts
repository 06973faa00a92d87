/**
 * What a run counted, and how it is told: text and JSON.
 *
 * Always true: sent = accepted + refused + errors + failed, each packet counted once.
 */

import type { Settings } from "./options.ts";
import { Histogram } from "../src/histogram.ts";
import type { HttpFault } from "../src/http_error.ts";

/** What a run has counted so far. */
export class Tally {
  /** Packets whose first request has begun. */
  sent = 0;
  messagesSent = 0;
  accepted = 0;
  messagesAccepted = 0;
  /** Packets that ended with 503 or 429. */
  refused = 0;
  /** Packets that ended with any other status but 202. */
  errors = 0;
  /** Packets that ended without an answer. */
  failed = 0;
  /** Packets that were due and never sent. */
  unsent = 0;
  /** Requests that sent a refused packet again. */
  retried = 0;
  /** Packets sent more than 10 ms after their time. */
  late = 0;
  /** Until the last answer. */
  elapsedMs = 0;
  /** Until the end of the time slot of the last packet sent. */
  sendingMs = 0;
  interrupted = false;
  /** Answers by status, those to resent packets included. */
  readonly byStatus = new Map<number, number>();
  readonly byFault = new Map<HttpFault, number>();
  /** Of accepted packets, from the intended time of sending. */
  readonly latency = new Histogram();

  get achievedRate(): number {
    return this.sendingMs === 0 ? 0 : this.sent / this.sendingMs * 1000;
  }
}

/** What a report says besides the tally. */
export interface RunFacts {
  readonly settings: Settings;
  readonly seed: number;
  readonly runId: string;
}

/** The report as `--json` prints it; keys are stable. */
export function describeRun(tally: Tally, { settings, seed, runId }: RunFacts) {
  const { latency } = tally;
  const { min, max } = settings.batch;
  return {
    url: settings.url,
    agent: settings.agent,
    run_id: runId,
    seed,
    batch: min === max ? `${min}` : `${min}..${max}`,
    target_rate: settings.rate,
    achieved_rate: round(tally.achievedRate),
    elapsed_seconds: round(tally.elapsedMs / 1000),
    interrupted: tally.interrupted,
    sent: tally.sent,
    accepted: tally.accepted,
    refused: tally.refused,
    errors: tally.errors,
    failed: tally.failed,
    unsent: tally.unsent,
    retried: tally.retried,
    late: tally.late,
    messages_sent: tally.messagesSent,
    messages_accepted: tally.messagesAccepted,
    latency_ms: {
      p50: round(latency.quantileMs(0.5)),
      p95: round(latency.quantileMs(0.95)),
      p99: round(latency.quantileMs(0.99)),
      max: round(latency.maxMs),
      mean: round(latency.meanMs),
    },
    by_status: Object.fromEntries([...tally.byStatus].sort(([a], [b]) => a - b)),
    by_fault: Object.fromEntries([...tally.byFault].sort()) as Record<string, number>,
  };
}

export type RunReport = ReturnType<typeof describeRun>;

/** Writes the report for people; rows without anything to say are left out. */
export function formatReport(report: RunReport): string {
  const { latency_ms: latency } = report;
  const rows: [name: string, value: number, note: string][] = [
    ["sent", report.sent, `${groupDigits(report.messages_sent)} messages`],
    ["accepted", report.accepted, `${groupDigits(report.messages_accepted)} messages`],
    ["refused", report.refused, "answered 503 or 429"],
    ["errors", report.errors, "answered otherwise"],
    ["failed", report.failed, listCounts(report.by_fault)],
    ["unsent", report.unsent, "due, but never sent"],
    ["retried", report.retried, "requests that sent a refused packet again"],
    ["late", report.late, "sent more than 10 ms after their time"],
  ];
  const optional = new Set(["errors", "unsent", "retried", "late"]);
  const shown = rows.filter(([name, value]) => value > 0 || !optional.has(name));
  const width = Math.max(...shown.map(([, value]) => groupDigits(value).length));
  const lines = shown.map(([name, value, note]) =>
    formatLine(name, groupDigits(value).padStart(width) + (note && value > 0 ? `  ${note}` : ""))
  );
  return [
    `${report.url}, agent ${report.agent}, run ${report.run_id}${
      report.interrupted ? ", interrupted" : ""
    }`,
    "",
    ...lines,
    formatLine("answers", listCounts(report.by_status) || "none"),
    formatLine(
      "latency",
      `p50 ${formatMs(latency.p50)}  p95 ${formatMs(latency.p95)}  ` +
        `p99 ${formatMs(latency.p99)}  max ${formatMs(latency.max)}  mean ${
          formatMs(latency.mean)
        }`,
    ),
    formatLine(
      "rate",
      `${groupDigits(report.achieved_rate)} of ` +
        `${groupDigits(report.target_rate)} packets/s for ${report.elapsed_seconds.toFixed(1)} s`,
    ),
    formatLine("seed", `${report.seed}`),
  ].join("\n");
}

/** One line on a run under way. */
export function formatProgress(tally: Tally): string {
  const { sent, accepted, refused, errors, failed, latency } = tally;
  const faults = [
    refused > 0 ? `  refused ${groupDigits(refused)}` : "",
    errors > 0 ? `  errors ${groupDigits(errors)}` : "",
    failed > 0 ? `  failed ${groupDigits(failed)}` : "",
  ].join("");
  return `sent ${groupDigits(sent)}  accepted ${groupDigits(accepted)}${faults}  ` +
    `p99 ${formatMs(latency.quantileMs(0.99))}`;
}

function formatLine(name: string, text: string): string {
  return `  ${name.padEnd(10)}${text}`;
}

function listCounts(counts: Record<string, number>): string {
  return Object.entries(counts).map(([name, count]) => `${name} × ${groupDigits(count)}`).join(
    "  ",
  );
}

function groupDigits(value: number): string {
  return (Math.round(value * 10) / 10).toLocaleString("en-US");
}

function formatMs(ms: number): string {
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
