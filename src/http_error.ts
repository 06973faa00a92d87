/** An HTTP exchange that brought no answer, and what an answer says. */

/**
 * Why there is no answer.
 *
 * `connect`: nothing was sent. `timeout`, `closed`, `malformed`: the request may have arrived.
 * `lost`: it may too, but then no new connection could be had. `interrupted`: we stopped it.
 */
export type HttpFault = "connect" | "timeout" | "closed" | "lost" | "malformed" | "interrupted";

/** A request without an answer. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly fault: HttpFault;

  constructor(fault: HttpFault, detail: string) {
    super(detail);
    this.fault = fault;
  }
}

/** What an answer says; its body is read and dropped. */
export interface Answer {
  readonly status: number;
  /** From Retry-After, 0 to 60 s; absent when the answer has none that can be read. */
  readonly retryAfterMs?: number;
  /** The whole head, in lower case; absent where fetch has it. */
  readonly head?: string;
}

const MAX_RETRY_AFTER_MS = 60_000;

/** Reads a Retry-After header, seconds or a date, to milliseconds. */
export function parseRetryAfter(text: string, wallMs: number): number | undefined {
  const seconds = /^\d+$/.test(text.trim());
  const delayMs = seconds ? Number(text) * 1000 : Date.parse(text) - wallMs;
  return Number.isNaN(delayMs) ? undefined : Math.min(Math.max(delayMs, 0), MAX_RETRY_AFTER_MS);
}

/** Sorts what fetch has thrown. It tells by its text alone whether it ever had a connection. */
export function sortFetchError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  const whole = cause instanceof Error ? cause.message : message;
  const start = whole.indexOf("client error (");
  const detail = (start < 0 ? whole : whole.slice(start)).slice(0, 256);
  return new HttpError(detail.startsWith("client error (Connect)") ? "connect" : "closed", detail);
}
