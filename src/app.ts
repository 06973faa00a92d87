/**
 * The Hono app: all routes, and the answers of all that goes wrong.
 *
 * Ingest has exactly one handler and no middleware, so Hono calls it without composing.
 */

import { Hono } from "@hono/hono";
import { addAdminRoutes, type AdminDoors } from "./admin.ts";
import { ApiError } from "./errors.ts";
import { createIngest, type IngestDoors } from "./ingest.ts";
import type { Log } from "./log.ts";
import { problemResponse, toApiError } from "./problem.ts";

/** A name, an IPv4 address or a bracketed IPv6 address, and perhaps a port. */
const HOST = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

/** Builds the handler of all requests. */
export function createApp(
  doors: { ingest: IngestDoors; admin: AdminDoors; log: Log },
): (request: Request) => Response | Promise<Response> {
  const app = new Hono();
  const ingest = createIngest(doors.ingest);
  app.post("/api/v1/logs", (context) => ingest(context.req.raw));
  addAdminRoutes(app, doors.admin);
  refuseOtherMethods(app);
  app.notFound((context) =>
    problemResponse(new ApiError("NOT_FOUND", `There is nothing at ${context.req.path}`))
  );
  app.onError((error) => {
    if (!(error instanceof ApiError)) doors.log.error("request failed", { error: String(error) });
    return problemResponse(toApiError(error));
  });
  return (request) => {
    // The runtime builds the URL from the Host header: a strange one could name another path.
    const host = request.headers.get("host");
    if (host !== null && !HOST.test(host)) {
      return problemResponse(new ApiError("BAD_HOST", "The Host header is not a host name"));
    }
    return app.fetch(request);
  };
}

/** Every known path answers a method it does not have with 405 and `Allow`. */
function refuseOtherMethods(app: Hono): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    const allowed = methods.get(path) ?? new Set();
    allowed.add(method);
    if (method === "GET") allowed.add("HEAD");
    methods.set(path, allowed);
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed].join(", ");
    app.all(path, (context) => {
      throw new ApiError(
        "METHOD_NOT_ALLOWED",
        `${context.req.method} is not allowed here: use ${allow}`,
        { allow },
      );
    });
  }
}
