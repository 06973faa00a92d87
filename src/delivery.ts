/**
 * One attempt: a POST with a deadline. Returns an {@link Outcome}; never throws for I/O.
 *
 * Called by the lanes. Always true: an answer's body is read to its end or cut off, and no timer
 * outlives its attempt.
 */

import type { Clock } from "./clock.ts";
import { type Outcome, outcomeOfStatus } from "./outcome.ts";
import { batchBytes, type Packet, packetBytes } from "./packet.ts";

/** An answer is read to this many bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024;
/** An analyzer's Retry-After counts up to this. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Posts packets to an analyzer: one as JSON, several as NDJSON. */
export type Deliver = (url: string, packets: readonly [Packet, ...Packet[]]) => Promise<Outcome>;

/** Delivers with fetch and one AbortSignal an attempt. */
export function createFetchDelivery(options: { timeoutMs: number; clock: Clock }): Deliver {
  const { timeoutMs, clock } = options;
  return async (url, packets) => {
    const startedMs = clock.monotonicMs();
    const controller = new AbortController();
    const cancelTimer = clock.after(timeoutMs, () => controller.abort());
    try {
      const response = await fetch(`${url}/analyze`, {
        method: "POST",
        headers: requestHeaders(packets),
        body: packets.length === 1 ? packetBytes(packets[0]) : batchBytes(packets),
        redirect: "manual",
        signal: controller.signal,
      });
      await consume(response);
      const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), clock);
      return outcomeOfStatus(response.status, {
        latencyMs: clock.monotonicMs() - startedMs,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    } catch (error) {
      return controller.signal.aborted
        ? failure("timeout", `no answer within ${timeoutMs} ms`)
        : outcomeOfError(error);
    } finally {
      cancelTimer();
    }
  };
}

function requestHeaders(packets: readonly [Packet, ...Packet[]]): Record<string, string> {
  const [first] = packets;
  // identity: an answer that would have to be inflated could be far larger than it is long.
  const common = { "accept-encoding": "identity" };
  if (packets.length > 1) return { ...common, "content-type": "application/x-ndjson" };
  return {
    ...common,
    "content-type": "application/json",
    "x-packet-id": headerSafe(first.id),
    "x-attempt": String(first.attempts + 1),
  };
}

/** Ids are the agents' own: what is not printable ASCII is percent-encoded. */
export function headerSafe(id: string): string {
  return /^[\x21-\x7e]*$/.test(id) ? id : encodeURIComponent(id.toWellFormed());
}

/** Reads an answer's body to its end, or to {@link MAX_ANSWER_BYTES} and then cuts it off. */
async function consume(response: Response): Promise<void> {
  if (response.body === null) return;
  let read = 0;
  for await (const chunk of response.body) {
    read += chunk.length;
    if (read > MAX_ANSWER_BYTES) return;
  }
}

/** `Retry-After` in either form; undefined when absent or unreadable, at most a minute. */
export function parseRetryAfter(value: string | null, clock: Clock): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - clock.wallMs();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

function outcomeOfError(error: unknown): Outcome {
  const text = describeError(error);
  // fetch tells only in its text whether a connection was ever made.
  return failure(text.startsWith("client error (Connect)") ? "connect" : "timeout", text);
}

/** What fetch says of an I/O fault, without the URL: in `cause`, or in the message itself. */
export function describeError(error: unknown): string {
  const { message, cause } = error as Error;
  const whole = cause instanceof Error ? cause.message : message ?? String(error);
  const start = whole.indexOf("client error (");
  return (start < 0 ? whole : whole.slice(start)).slice(0, 256);
}

function failure(kind: "connect" | "timeout", detail: string): Outcome {
  return { kind: "retriable", failure: kind, detail };
}
