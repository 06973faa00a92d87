/** Writes every error of our own API as RFC 9457 `application/problem+json`, in one shape. */

import { ApiError, type ErrorCode, statusOf, titleOf } from "./errors.ts";
import type { Log } from "./log.ts";

/** The answer to a refused request. */
export function problemResponse(error: ApiError): Response {
  return new Response(problemText(error.code, error.message), {
    status: error.status,
    headers: { ...error.headers, "content-type": "application/problem+json" },
  });
}

/** The JSON body of a problem. */
export function problemText(code: ErrorCode, detail: string): string {
  const status = statusOf(code);
  return JSON.stringify({ type: "about:blank", title: titleOf(code), status, detail, code });
}

/** Any thrown value as an ApiError; what is not one is a bug and says nothing of itself. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(
    "INTERNAL",
    "The request could not be handled because of a fault in the distributor",
  );
}

/** The same for who answers a request: a bug, of which the answer says nothing, is logged. */
export function confess(error: unknown, log: Pick<Log, "error">): ApiError {
  const known = toApiError(error);
  if (known !== error) log.error("request failed", { error: String(error) });
  return known;
}
