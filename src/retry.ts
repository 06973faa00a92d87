/** What happens to a packet after a failed attempt. Pure: chance is handed in, waiting is told. */

import type { FailedOutcome } from "./outcome.ts";
import type { Random } from "./random.ts";

export interface RetryPolicy {
  /** Failed attempts after the first before a packet is given up. @default 5 */
  readonly maxRetries: number;
  /** Base of the exponential back-off. @default 200 */
  readonly intervalMs: number;
}

/** Longest wait between two attempts. */
export const MAX_BACKOFF_MS = 30_000;

export type NextStep =
  | { readonly kind: "retry"; readonly delayMs: number; readonly attempts: number }
  | { readonly kind: "give_up"; readonly reason: "retries_exhausted" | "rejected" };

/**
 * Decides the next step.
 *
 * A failure to connect costs no attempt: the packet never arrived, so it cannot be at fault. A
 * packet that two analyzers reject as malformed is given up, since only one may be mistaken; so is
 * one that has nowhere else to go. No packet is given up for what befell a batch. How long an analyzer asks to be left alone is its own matter:
 * see the registry.
 *
 * Back-off: exponential with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015).
 *
 * @param packet its failed attempts that counted, and the other analyzers that rejected it, so far
 * @param options `isNew`: this analyzer has not failed it before; `isLast`: there is no other;
 * `isAlone`: it was not in a batch
 */
export function nextStep(
  outcome: FailedOutcome,
  packet: { attempts: number; rejections: number },
  options: {
    policy: RetryPolicy;
    random: Random;
    isNew: boolean;
    isLast: boolean;
    isAlone: boolean;
  },
): NextStep {
  const { policy, random, isNew, isLast, isAlone } = options;
  if (outcome.kind === "rejected" && (isLast || (isNew && packet.rejections > 0))) {
    return { kind: "give_up", reason: "rejected" };
  }
  const attempts = packet.attempts + (outcome.failure === "connect" ? 0 : 1);
  if (attempts > policy.maxRetries && isAlone) {
    return { kind: "give_up", reason: "retries_exhausted" };
  }
  const ceilingMs = Math.min(policy.intervalMs * 2 ** Math.max(0, attempts - 1), MAX_BACKOFF_MS);
  return { kind: "retry", delayMs: random() * ceilingMs, attempts };
}
