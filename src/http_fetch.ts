/** An HTTP exchange with fetch, within a deadline: for `https:`, and for servers that need it. */

import type { Clock } from "./clock.ts";
import { type Answer, HttpError, parseRetryAfter, sortFetchError } from "./http_error.ts";

export interface FetchOptions<T> {
  readonly init: RequestInit;
  /** From connecting to the end of what `read` reads. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Ends the exchange at once. */
  readonly signal: AbortSignal;
  /** Takes from the answer what is wanted; must read its body to the end, or cancel it. */
  readonly read: (response: Response) => Promise<T>;
}

/**
 * Makes one exchange. Redirects are never followed.
 *
 * @throws {HttpError}
 */
export async function fetchWithin<T>(url: URL | string, options: FetchOptions<T>): Promise<T> {
  const { init, timeoutMs, clock, signal, read } = options;
  // One controller and one listener taken back: AbortSignal.any() has leaked with a lasting signal.
  const controller = new AbortController();
  const abort = () => controller.abort();
  const cancelTimer = clock.after(timeoutMs, abort);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await read(await fetch(url, { ...init, redirect: "manual", signal: controller.signal }));
  } catch (error) {
    if (signal.aborted) throw new HttpError("interrupted", "Stopped by the sender");
    if (controller.signal.aborted) {
      throw new HttpError("timeout", `No answer within ${timeoutMs} ms`);
    }
    throw sortFetchError(error);
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", abort);
  }
}

/** What an answer of fetch says; its body is the caller's. */
export function answerOf(response: Response, clock: Clock): Answer {
  const header = response.headers.get("retry-after");
  const retryAfterMs = header === null ? undefined : parseRetryAfter(header, clock.wallMs());
  return { status: response.status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
