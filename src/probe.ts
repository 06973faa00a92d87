/**
 * Active health checks: one loop that asks each analyzer's `GET /health` when it is due.
 *
 * Owned by the distributor; its verdicts go to the registry. A failed check, or an analyzer that
 * is not healthy, brings the next check nearer.
 */

import type { Analyzer } from "./analyzer.ts";
import type { Cancel, Clock } from "./clock.ts";
import { Heap } from "./heap.ts";
import { findHeader } from "./http_answer.ts";
import { HttpClient } from "./http_client.ts";
import { sortFetchError } from "./http_error.ts";
import { fetchWithin } from "./http_fetch.ts";
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
/** Of an answer's body, no more than this is read. */
const MAX_ANSWER_BYTES = 64 * 1024;

export class Prober {
  readonly #registry: Registry;
  readonly #options: ProbeOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  /** When each analyzer's next check is due, while none is under way. */
  readonly #dueMs = new Map<Analyzer, number>();
  /** The same in order, with what has been superseded since. */
  readonly #queue = new Heap<Analyzer>();
  readonly #running = new Set<Analyzer>();
  readonly #abort = new AbortController();
  #wakeAtMs = Infinity;
  #cancelWake: Cancel | undefined;

  constructor(registry: Registry, options: ProbeOptions, doors: { clock: Clock; random: Random }) {
    this.#registry = registry;
    this.#options = options;
    this.#clock = doors.clock;
    this.#random = doors.random;
    registry.onChange((analyzer) => this.#hear(analyzer));
  }

  /** Ends the loop and the checks under way. */
  stop(): void {
    this.#cancelWake?.();
    this.#abort.abort();
  }

  /** A new analyzer is checked at once, one that has changed soon. */
  #hear(analyzer: Analyzer): void {
    if (analyzer.removed) this.#dueMs.delete(analyzer);
    else if (!this.#running.has(analyzer)) {
      const nowMs = this.#clock.monotonicMs();
      const knownMs = this.#dueMs.get(analyzer);
      if (knownMs === undefined) this.#plan(analyzer, nowMs);
      else if (analyzer.health.inTransition) {
        this.#plan(analyzer, Math.min(knownMs, nowMs + this.#options.transitionMs));
      }
    }
    this.#startDue();
  }

  #plan(analyzer: Analyzer, dueMs: number): void {
    if (this.#dueMs.get(analyzer) === dueMs) return;
    this.#dueMs.set(analyzer, dueMs);
    this.#queue.push(dueMs, analyzer);
  }

  /** Starts what is due, and sleeps until the next is. */
  #startDue(): void {
    if (this.#abort.signal.aborted) return;
    const nowMs = this.#clock.monotonicMs();
    for (let at = this.#queue.peekKey(); at !== undefined; at = this.#queue.peekKey()) {
      if (at > nowMs) return this.#wakeAt(at, nowMs);
      const analyzer = this.#queue.pop()!;
      if (this.#dueMs.get(analyzer) === at) void this.#check(analyzer);
    }
  }

  #wakeAt(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#wakeAtMs && this.#wakeAtMs > nowMs) return;
    this.#cancelWake?.();
    this.#wakeAtMs = dueMs;
    this.#cancelWake = this.#clock.after(dueMs - nowMs, () => {
      this.#wakeAtMs = Infinity;
      this.#startDue();
    });
  }

  async #check(analyzer: Analyzer): Promise<void> {
    this.#dueMs.delete(analyzer);
    this.#running.add(analyzer);
    const verdict = await probe(analyzer.url, {
      timeoutMs: this.#options.timeoutMs,
      clock: this.#clock,
      signal: this.#abort.signal,
    });
    if (this.#abort.signal.aborted) return;
    this.#registry.probed(analyzer, verdict);
    // Only now: the registry's change above would start another check at once.
    this.#running.delete(analyzer);
    if (analyzer.removed) return;
    const spread = 1 + JITTER * (2 * this.#random() - 1);
    const intervalMs = analyzer.health.inTransition
      ? this.#options.transitionMs
      : this.#options.intervalMs * spread;
    this.#plan(analyzer, this.#clock.monotonicMs() + intervalMs);
    this.#startDue();
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

/** Asks once, by the same way as packets go: `http:` directly, `https:` with fetch. Never throws. */
export async function probe(
  url: string,
  options: { timeoutMs: number; clock: Clock; signal?: AbortSignal },
): Promise<Verdict> {
  try {
    const { status, acceptPost } = url.startsWith("http:")
      ? await askDirectly(url, options)
      : await askWithFetch(url, options);
    return {
      ok: status >= 200 && status < 300,
      detail: `HTTP ${status}`,
      batches: acceptPost.toLowerCase().includes("application/x-ndjson"),
    };
  } catch (error) {
    return { ok: false, detail: sortFetchError(error).message, batches: false };
  }
}

interface HealthAnswer {
  readonly status: number;
  readonly acceptPost: string;
}

/** On a connection of its own: whether one can be had is part of the question. */
async function askDirectly(
  url: string,
  { timeoutMs, clock, signal }: { timeoutMs: number; clock: Clock; signal?: AbortSignal },
): Promise<HealthAnswer> {
  const { pathname, host } = new URL(`${url}/health`);
  const client = new HttpClient(new URL(url), {
    timeoutMs,
    clock,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  const close = () => client.close();
  signal?.addEventListener("abort", close);
  try {
    const answer = await client.request(
      `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`,
    );
    return {
      status: answer.status,
      acceptPost: findHeader(answer.head ?? "", "accept-post") ?? "",
    };
  } finally {
    signal?.removeEventListener("abort", close);
    client.close();
  }
}

function askWithFetch(
  url: string,
  { timeoutMs, clock, signal }: { timeoutMs: number; clock: Clock; signal?: AbortSignal },
): Promise<HealthAnswer> {
  return fetchWithin(`${url}/health`, {
    init: { headers: { "accept-encoding": "identity" } },
    timeoutMs,
    clock,
    signal: signal ?? new AbortController().signal,
    read: async ({ status, headers, body }) => {
      await body?.cancel();
      return { status, acceptPost: headers.get("accept-post") ?? "" };
    },
  });
}
