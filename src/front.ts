/**
 * What every thread does with a request before all else: the Host, and the one hot route.
 *
 * A request for ingest that is spelt as nearly all are does not ask the router at all.
 */

import { ApiError } from "./errors.ts";
import { problemResponse } from "./problem.ts";

export type Handler = (request: Request) => Response | Promise<Response>;

export const INGEST_PATH = "/api/v1/logs";
const SCHEME_LENGTH = "http://".length;

/** A name, an IPv4 address or a bracketed IPv6 address, and perhaps a port. */
const HOST = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

/** @param handlers.rest also takes any other spelling of ingest's path */
export function createFront({ ingest, rest }: { ingest: Handler; rest: Handler }): Handler {
  return (request) => {
    // The runtime builds the URL from the Host header: a strange one could name another path.
    const host = request.headers.get("host");
    if (host !== null && !HOST.test(host)) {
      return problemResponse(new ApiError("BAD_HOST", "The Host header is not a host name"));
    }
    return isPlainIngest(request, host) ? ingest(request) : rest(request);
  };
}

/**
 * Whether it is a POST to ingest, the URL being the host and the path and nothing else: of 29 µs a
 * packet, router and context took 2.
 */
function isPlainIngest({ method, url }: Request, host: string | null): boolean {
  return method === "POST" && url.endsWith(INGEST_PATH) && host !== null &&
    url.length === SCHEME_LENGTH + host.length + INGEST_PATH.length;
}
