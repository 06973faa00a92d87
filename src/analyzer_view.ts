/**
 * How an analyzer stands, as the API shows it: its state, its share asked and had, its record.
 *
 * Pure reading, for the registry. Being full counts here once it lasts: shown for every moment of
 * it, eligible and the targets would flicker.
 */

import type { Analyzer } from "./analyzer.ts";
import { roundMilli } from "./clock.ts";
import type { HealthState } from "./health.ts";
import type { FailureClass } from "./outcome.ts";
import { WINDOW_SECONDS } from "./window.ts";

/** How long an analyzer must have been full to be shown as not eligible. */
const FULL_SHOWN_MS = 1000;

/** How an analyzer may take part, each in one word. */
export const STATUS_KINDS = [
  "healthy",
  "slow_start",
  "probation",
  "resting",
  "full",
  "paused",
  "ejected",
] as const;

export type StatusKind = typeof STATUS_KINDS[number];

/** What the API shows of an analyzer. */
export interface AnalyzerView {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly paused: boolean;
  /** Its health alone. */
  readonly state: HealthState;
  /** Why the state began. */
  readonly reason: string;
  /** Seconds since the state began. */
  readonly state_seconds: number;
  readonly eligible: boolean;
  /** What decides how it takes part now, of health, pause, rest and load; why, and since when. */
  readonly status: {
    readonly kind: StatusKind;
    readonly reason: string;
    readonly seconds: number;
  };
  readonly share: { target: number; actual: number; window_seconds: number };
  readonly delivered: { packets: number; messages: number };
  /** Requests that it answered with a 2xx, of one packet or many. */
  readonly successes: number;
  /** How long those took, all told. */
  readonly success_seconds: number;
  /** Requests that failed, by class. */
  readonly failures: Record<FailureClass, number>;
  /** Packets being posted now. */
  readonly in_flight: number;
  /** The part of its weight that counts now: below 1 during slow start, 0 while it is out. */
  readonly weight_factor: number;
  readonly ejections: number;
  readonly probes: { passed: number; failed: number };
  readonly latency_ms: { p50: number; p95: number; p99: number };
}

/** The same without what takes time to read. */
export type AnalyzerGlance = Omit<AnalyzerView, "latency_ms">;

/** What the shares of all analyzers are parts of. */
export interface Totals {
  readonly nowMs: number;
  readonly weight: number;
  readonly recentMessages: number;
}

/** Sums up what is shared, at one moment. */
export function sumUp(analyzers: Iterable<Analyzer>, nowMs: number): Totals {
  let weight = 0;
  let recentMessages = 0;
  for (const analyzer of analyzers) {
    weight += weightShown(analyzer, nowMs);
    recentMessages += analyzer.record.recentMessages.total(nowMs);
  }
  return { nowMs, weight, recentMessages };
}

/** How one analyzer stands at that moment. */
export function viewAnalyzer(analyzer: Analyzer, totals: Totals): AnalyzerView {
  const [p50, p95, p99] = analyzer.record.latency.quantilesMs([0.5, 0.95, 0.99], totals.nowMs)
    .map(roundMilli) as [number, number, number];
  return { ...glanceAtAnalyzer(analyzer, totals), latency_ms: { p50, p95, p99 } };
}

/** The same but for its latency, whose percentiles are costly. */
export function glanceAtAnalyzer(analyzer: Analyzer, totals: Totals): AnalyzerGlance {
  const { nowMs } = totals;
  const { record, health } = analyzer;
  return {
    id: analyzer.id,
    url: analyzer.url,
    weight: analyzer.weight,
    paused: analyzer.paused,
    state: health.state,
    reason: health.reason,
    state_seconds: roundMilli((nowMs - health.sinceMs) / 1000),
    eligible: isEligibleShown(analyzer, nowMs),
    status: describeStatus(analyzer, nowMs),
    share: {
      target: fraction(weightShown(analyzer, nowMs), totals.weight),
      actual: fraction(record.recentMessages.total(nowMs), totals.recentMessages),
      window_seconds: WINDOW_SECONDS,
    },
    delivered: { ...record.delivered },
    successes: record.successes,
    success_seconds: roundMilli(record.successMs / 1000),
    failures: { ...record.failures },
    in_flight: analyzer.inFlight,
    weight_factor: roundMilli(health.weightFactor(nowMs)),
    ejections: record.ejections,
    probes: { ...record.probes },
  };
}

function describeStatus(analyzer: Analyzer, nowMs: number): AnalyzerGlance["status"] {
  const { health, rest } = analyzer;
  const since = (kind: StatusKind, reason: string, sinceMs: number) => ({
    kind,
    reason,
    seconds: roundMilli((nowMs - sinceMs) / 1000),
  });
  if (analyzer.paused) return since("paused", "by an operator", analyzer.pausedSinceMs);
  if (health.state !== "healthy") return since(health.state, health.reason, health.sinceMs);
  if (rest) {
    return since("resting", `it asked for a pause of ${rest.durationMs / 1000} s`, rest.sinceMs);
  }
  if (!isEligibleShown(analyzer, nowMs)) {
    return since("full", "it has all in flight that it may have", analyzer.fullSinceMs);
  }
  const factor = health.weightFactor(nowMs);
  return factor < 1
    ? since("slow_start", `with ${Math.round(factor * 100)} % of its weight`, health.sinceMs)
    : since("healthy", health.reason, health.sinceMs);
}

function isEligibleShown(analyzer: Analyzer, nowMs: number): boolean {
  return analyzer.available && !(nowMs - analyzer.fullSinceMs >= FULL_SHOWN_MS);
}

function weightShown(analyzer: Analyzer, nowMs: number): number {
  return isEligibleShown(analyzer, nowMs)
    ? analyzer.weight * analyzer.health.weightFactor(nowMs)
    : 0;
}

/** A part of a whole, without the noise of floating point; 0 of nothing. */
function fraction(part: number, whole: number): number {
  return whole > 0 ? Math.round(part / whole * 1e9) / 1e9 : 0;
}
