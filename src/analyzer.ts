/**
 * One analyzer as the registry knows it: what was configured, its health, and its record.
 *
 * Only the registry changes it. An analyzer is available when its weight counts at all, and
 * eligible when it has room as well: only the eligible take part in the lottery.
 */

import type { Health } from "./health.ts";
import { FAILURE_CLASSES, type FailureClass } from "./outcome.ts";
import { WindowedHistogram, WindowedSum } from "./window.ts";

/** What an operator says of an analyzer. */
export interface AnalyzerConfig {
  readonly id: string;
  /** Base URL without a trailing slash: `/analyze` and `/health` are appended. */
  readonly url: string;
  /** Relative, finite, > 0. */
  readonly weight: number;
}

/** A pause that an analyzer has asked for. */
export interface Rest {
  /** Monotonic milliseconds. */
  readonly sinceMs: number;
  readonly durationMs: number;
}

/** What an analyzer has done; stays with its id when its URL changes. */
export class AnalyzerRecord {
  readonly delivered = { packets: 0, messages: 0 };
  /** Requests that it answered with a 2xx; those that failed, by class. */
  successes = 0;
  /** How long those took, all told. */
  successMs = 0;
  readonly failures = Object.fromEntries(
    FAILURE_CLASSES.map((failure) => [failure, 0]),
  ) as Record<FailureClass, number>;
  /** How often it was put out, and how its health checks went. */
  ejections = 0;
  readonly probes = { passed: 0, failed: 0 };
  readonly recentMessages = new WindowedSum();
  readonly latency = new WindowedHistogram();
}

export class Analyzer {
  readonly id: string;
  /** Its number in the lottery. */
  readonly entry: number;
  readonly health: Health;
  url: string;
  weight: number;
  /** Since when an operator has it paused, in monotonic milliseconds; NaN while it is not. */
  pausedSinceMs = NaN;
  /** That it has asked to be left alone (Retry-After), while it is. */
  rest: Rest | undefined;
  removed = false;
  /** Whether its health check offers to take NDJSON batches. */
  batches = false;
  /** Packets drawn for it and not yet settled or given back. */
  load = 0;
  /** Since when `load` has been at its limit, in monotonic milliseconds; NaN while it is not. */
  fullSinceMs = NaN;
  /** Packets in requests under way. */
  inFlight = 0;
  readonly record: AnalyzerRecord;

  constructor(
    config: AnalyzerConfig,
    own: { entry: number; health: Health; record?: AnalyzerRecord },
  ) {
    this.id = config.id;
    this.url = config.url;
    this.weight = config.weight;
    this.entry = own.entry;
    this.health = own.health;
    this.record = own.record ?? new AnalyzerRecord();
  }

  get paused(): boolean {
    return !Number.isNaN(this.pausedSinceMs);
  }

  /** Whether anything may be sent to it at all. */
  get available(): boolean {
    return !this.removed && !this.paused && !this.rest && this.health.state !== "ejected";
  }
}
