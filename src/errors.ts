/**
 * Every error of our own API: one table of codes, statuses and titles.
 *
 * Thrown as {@link ApiError} by whatever finds the fault, turned into RFC 9457
 * `application/problem+json` in one place (`problem.ts`). Codes are stable: clients match on them.
 */

import { STATUS_CODE } from "@std/http/status";

const TABLE = {
  BAD_HOST: [STATUS_CODE.BadRequest, "Invalid Host header"],
  INVALID_JSON: [STATUS_CODE.BadRequest, "Body is not valid JSON"],
  INVALID_UTF8: [STATUS_CODE.BadRequest, "Body is not valid UTF-8"],
  INVALID_ENCODING: [STATUS_CODE.BadRequest, "Body does not match its Content-Encoding"],
  INVALID_QUERY: [STATUS_CODE.BadRequest, "Invalid query"],
  TOO_DEEP: [STATUS_CODE.BadRequest, "JSON is nested too deeply"],
  BODY_INCOMPLETE: [STATUS_CODE.BadRequest, "Body ended early"],
  CROSS_ORIGIN: [STATUS_CODE.Forbidden, "Cross-origin request refused"],
  NOT_FOUND: [STATUS_CODE.NotFound, "Not found"],
  ANALYZER_NOT_FOUND: [STATUS_CODE.NotFound, "No such analyzer"],
  DEAD_LETTER_NOT_FOUND: [STATUS_CODE.NotFound, "No such dead letter"],
  METHOD_NOT_ALLOWED: [STATUS_CODE.MethodNotAllowed, "Method not allowed"],
  BODY_TIMEOUT: [STATUS_CODE.RequestTimeout, "Body took too long"],
  BODY_TOO_LARGE: [STATUS_CODE.ContentTooLarge, "Body is too large"],
  HOST_NOT_ALLOWED: [STATUS_CODE.MisdirectedRequest, "Not known by this name"],
  UNSUPPORTED_TYPE: [STATUS_CODE.UnsupportedMediaType, "Unsupported Content-Type"],
  UNSUPPORTED_ENCODING: [STATUS_CODE.UnsupportedMediaType, "Unsupported Content-Encoding"],
  INVALID_PACKET: [STATUS_CODE.UnprocessableEntity, "JSON is not a log packet"],
  INVALID_ANALYZER: [STATUS_CODE.UnprocessableEntity, "Invalid analyzer"],
  TOO_MANY_ANALYZERS: [STATUS_CODE.UnprocessableEntity, "Too many analyzers"],
  QUEUE_FULL: [STATUS_CODE.ServiceUnavailable, "Queue is full"],
  STORAGE_FULL: [STATUS_CODE.ServiceUnavailable, "Storage is full"],
  STORAGE_FAILED: [STATUS_CODE.ServiceUnavailable, "Storage has failed"],
  TOO_MANY_VIEWERS: [STATUS_CODE.ServiceUnavailable, "Too many viewers"],
  BUSY: [STATUS_CODE.ServiceUnavailable, "Too many orders at once"],
  DRAINING: [STATUS_CODE.ServiceUnavailable, "Distributor is draining"],
  INTERNAL: [STATUS_CODE.InternalServerError, "Internal error"],
} as const;

/** A stable upper-case error code of the API. */
export type ErrorCode = keyof typeof TABLE;

/** All codes, in the order of the table. */
export const ERROR_CODES = Object.keys(TABLE) as ErrorCode[];

/** What a packet may be refused with. */
export const PACKET_CODES: readonly ErrorCode[] = [
  "INVALID_JSON",
  "INVALID_UTF8",
  "INVALID_ENCODING",
  "TOO_DEEP",
  "BODY_INCOMPLETE",
  "BODY_TIMEOUT",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_TYPE",
  "UNSUPPORTED_ENCODING",
  "INVALID_PACKET",
  "QUEUE_FULL",
  "STORAGE_FULL",
  "STORAGE_FAILED",
  "DRAINING",
  "INTERNAL",
];

/** The HTTP status of a code. */
export function statusOf(code: ErrorCode): number {
  return TABLE[code][0];
}

/** The short human title of a code. */
export function titleOf(code: ErrorCode): string {
  return TABLE[code][1];
}

/** A refusal with a stable code, and headers that go with it (`Allow`, `Retry-After`, …). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, detail: string, headers: Record<string, string> = {}) {
    super(detail);
    this.code = code;
    this.headers = headers;
  }

  get status(): number {
    return statusOf(this.code);
  }
}

/** A fault of the command line, environment or config file: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
