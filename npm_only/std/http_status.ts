/** Stand-in for `@std/http/status`: the statuses that an HTTP service of ours may name. */

import { STATUS_CODES } from "node:http";

export const STATUS_CODE = {
  OK: 200,
  Created: 201,
  Accepted: 202,
  NoContent: 204,
  MovedPermanently: 301,
  Found: 302,
  SeeOther: 303,
  NotModified: 304,
  TemporaryRedirect: 307,
  PermanentRedirect: 308,
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  RequestTimeout: 408,
  Conflict: 409,
  Gone: 410,
  LengthRequired: 411,
  PreconditionFailed: 412,
  ContentTooLarge: 413,
  UnsupportedMediaType: 415,
  MisdirectedRequest: 421,
  UnprocessableEntity: 422,
  PreconditionRequired: 428,
  TooManyRequests: 429,
  InternalServerError: 500,
  NotImplemented: 501,
  BadGateway: 502,
  ServiceUnavailable: 503,
  GatewayTimeout: 504,
  InsufficientStorage: 507,
} as const;

export type StatusCode = typeof STATUS_CODE[keyof typeof STATUS_CODE];

/** The reason phrase of each; Node still calls 413 by its older name. */
export const STATUS_TEXT = Object.fromEntries(
  Object.values(STATUS_CODE).map((code) => [
    code,
    code === STATUS_CODE.ContentTooLarge ? "Content Too Large" : STATUS_CODES[code],
  ]),
) as Readonly<Record<StatusCode, string>>;
