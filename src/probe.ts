/**
 * Active health checks: one loop that asks each analyzer's `GET /health` when it is due.
 *
 * Owned by the distributor; its verdicts go to the registry. A failed check, or an analyzer that
 * is not healthy, brings the next check nearer.
 */

import type { Analyzer } from "./analyzer.ts";
import type { Cancel, Clock } from "./clock.ts";
import { sortFetchError } from "./http_error.ts";
import type { Random } from "./random.ts";
import type { Registry } from "./registry.ts";

export interface ProbeOptions {
  /** Time between two checks of a healthy analyzer, ± 20 %. @default 5000 */
  readonly intervalMs: number;
  /** The same while its state may be about to change. @default 1000 */
  readonly transitionMs: number;
  /** @default 2000 */
  readonly timeoutMs: number;
}

const JITTER = 0.2;

export class Prober {
  readonly #registry: Registry;
  readonly #options: ProbeOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #dueMs = new Map<Analyzer, number>();
  readonly #running = new Set<Analyzer>();
  readonly #abort = new AbortController();
  #cancelWake: Cancel | undefined;

  constructor(registry: Registry, options: ProbeOptions, doors: { clock: Clock; random: Random }) {
    this.#registry = registry;
    this.#options = options;
    this.#clock = doors.clock;
    this.#random = doors.random;
    registry.onChange(() => this.#schedule());
  }

  /** Ends the loop and the checks under way. */
  stop(): void {
    this.#cancelWake?.();
    this.#abort.abort();
  }

  /** Starts what is due, and sleeps until the next is. */
  #schedule(): void {
    if (this.#abort.signal.aborted) return;
    this.#cancelWake?.();
    const nowMs = this.#clock.monotonicMs();
    const soonMs = nowMs + this.#options.transitionMs;
    let nextMs = Infinity;
    for (const analyzer of this.#dueMs.keys()) if (analyzer.removed) this.#dueMs.delete(analyzer);
    for (const analyzer of this.#registry.analyzers) {
      if (this.#running.has(analyzer)) continue;
      let dueMs = this.#dueMs.get(analyzer) ?? nowMs;
      if (analyzer.health.inTransition) dueMs = Math.min(dueMs, soonMs);
      this.#dueMs.set(analyzer, dueMs);
      if (dueMs <= nowMs) void this.#check(analyzer);
      else nextMs = Math.min(nextMs, dueMs);
    }
    if (nextMs === Infinity) return;
    this.#cancelWake = this.#clock.after(nextMs - nowMs, () => this.#schedule());
  }

  async #check(analyzer: Analyzer): Promise<void> {
    this.#running.add(analyzer);
    const verdict = await probe(analyzer.url, {
      timeoutMs: this.#options.timeoutMs,
      clock: this.#clock,
      signal: this.#abort.signal,
    });
    if (this.#abort.signal.aborted) return;
    this.#registry.probed(analyzer, verdict);
    const spread = 1 + JITTER * (2 * this.#random() - 1);
    const intervalMs = analyzer.health.inTransition
      ? this.#options.transitionMs
      : this.#options.intervalMs * spread;
    this.#dueMs.set(analyzer, this.#clock.monotonicMs() + intervalMs);
    // Only now: the registry's change above would start another check at once.
    this.#running.delete(analyzer);
    this.#schedule();
  }
}

/** What one check came to. */
export interface Verdict {
  readonly ok: boolean;
  /** The status, or why there was none. */
  readonly detail: string;
  /** Whether the answer offers to take NDJSON batches. */
  readonly batches: boolean;
}

/** Asks once. Never throws for I/O. */
export async function probe(
  url: string,
  options: { timeoutMs: number; clock: Clock; signal?: AbortSignal },
): Promise<Verdict> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const cancelTimer = options.clock.after(options.timeoutMs, abort);
  options.signal?.addEventListener("abort", abort);
  try {
    const response = await fetch(`${url}/health`, {
      headers: { "accept-encoding": "identity" },
      redirect: "manual",
      signal: controller.signal,
    });
    await response.body?.cancel();
    const offer = response.headers.get("accept-post") ?? "";
    return {
      ok: response.ok,
      detail: `HTTP ${response.status}`,
      batches: offer.toLowerCase().includes("application/x-ndjson"),
    };
  } catch (error) {
    const detail = controller.signal.aborted
      ? `no answer within ${options.timeoutMs} ms`
      : sortFetchError(error).message;
    return { ok: false, detail, batches: false };
  } finally {
    cancelTimer();
    options.signal?.removeEventListener("abort", abort);
  }
}
