/** What one attempt came to: the only thing that flows back from delivery. */

/**
 * Why an attempt failed.
 *
 * - `connect`: the packet surely did not arrive: refused, no route, DNS, TLS
 * - `timeout`: no complete answer in time
 * - `broken`: the connection broke after the request was sent, or what came is no HTTP answer
 * - `http_5xx`, `http_4xx`: an answer that is not 2xx; 3xx counts as 4xx, since it is never followed
 */
export type FailureClass = "connect" | "timeout" | "broken" | "http_5xx" | "http_4xx";

export const FAILURE_CLASSES: readonly FailureClass[] = [
  "connect",
  "timeout",
  "broken",
  "http_5xx",
  "http_4xx",
];

/** The result of one POST. */
export type Outcome =
  | { readonly kind: "delivered"; readonly status: number; readonly latencyMs: number }
  | {
    /** Worth another try, here or elsewhere. */
    readonly kind: "retriable";
    readonly failure: FailureClass;
    readonly status?: number;
    readonly retryAfterMs?: number;
    /** The packet may have arrived, but since then the analyzer cannot be reached. */
    readonly gone?: boolean;
    readonly detail: string;
  }
  | {
    /** The analyzer says the packet is at fault: 400, 413, 415, 422. */
    readonly kind: "rejected";
    readonly failure: "http_4xx";
    readonly status: number;
    readonly detail: string;
  };

/** What a failed attempt came to. */
export type FailedOutcome = Exclude<Outcome, { readonly kind: "delivered" }>;

/** Answers by which an analyzer refuses the packet rather than the moment. */
const REJECTING = new Set([400, 413, 415, 422]);

/** Sorts an HTTP answer. `latencyMs` counts for a delivery alone. */
export function outcomeOfStatus(
  status: number,
  options: { latencyMs: number; retryAfterMs?: number },
): Outcome {
  if (status >= 200 && status < 300) {
    return { kind: "delivered", status, latencyMs: options.latencyMs };
  }
  const detail = `HTTP ${status}`;
  if (REJECTING.has(status)) return { kind: "rejected", failure: "http_4xx", status, detail };
  return {
    kind: "retriable",
    failure: status >= 500 ? "http_5xx" : "http_4xx",
    status,
    detail,
    ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
  };
}

/** Answers that speak of the moment, not of the packet nor of a broken analyzer. */
export function isBusyStatus(status: number | undefined): boolean {
  return status === 408 || status === 425 || status === 429;
}
