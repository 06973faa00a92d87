/** The Host header, of which the runtime builds the URL: a strange one could name another path. */

import { ApiError } from "./errors.ts";

/** A name, an IPv4 address or a bracketed IPv6 address, and perhaps a port. */
const HOST = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

/** What a request is to be refused with because of its host, if anything. */
export function refuseHost(request: Request): ApiError | undefined {
  const host = request.headers.get("host");
  if (host === null || HOST.test(host)) return undefined;
  return new ApiError("BAD_HOST", "The Host header is not a host name");
}
