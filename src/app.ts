/**
 * The Hono app: all routes, and the answers of all that goes wrong.
 *
 * Ingest has exactly one handler and no middleware, so Hono calls it without composing; most
 * requests for it do not even get here (`front.ts`).
 */

import { type Context, Hono } from "@hono/hono";
import { addAdminRoutes, type AdminDoors } from "./admin.ts";
import { Discarder } from "./discard.ts";
import { ApiError } from "./errors.ts";
import { createFront, type Handler, INGEST_PATH } from "./front.ts";
import { createIngest, type IngestDoors } from "./ingest.ts";
import { nameOf } from "./hosts.ts";
import type { Log } from "./log.ts";
import type { Observation } from "./observation.ts";
import { confess, problemResponse } from "./problem.ts";

/** Builds the handler of all requests. */
export function createApp(
  doors: {
    ingest: Omit<IngestDoors, "discarder">;
    admin: AdminDoors;
    observation: Observation;
    /** Whether the operators' routes may be reached by this Host. */
    isHostAllowed: (host: string) => boolean;
    log: Log;
  },
): Handler {
  const app = new Hono();
  const discarder = new Discarder(doors.admin.clock);
  const ingest = createIngest({ ...doors.ingest, discarder });
  app.post(INGEST_PATH, (context) => ingest(context.req.raw));
  addAdminRoutes(app, doors.admin);
  doors.observation.addRoutes(app);
  app.notFound((context) => problemResponse(explainNotFound(app, context)));
  app.onError((error) => problemResponse(confess(error, doors.log)));
  return createFront({
    ingest,
    async rest(request) {
      const { authority, path } = splitUrl(request.url);
      // HTTP/2 has no Host; before HTTP/1.1 there may be none, and nobody browses with that.
      const host = request.headers.get("host") ?? authority;
      const response = isOpen(path) || doors.isHostAllowed(host)
        ? await app.fetch(request)
        : problemResponse(strangeHost(host));
      if (!response.ok) await discarder.discard(request);
      return response;
    },
  });
}

/** What agents, scrapers and load balancers ask for, by whatever name they know us. */
const OPEN_PATHS = ["/metrics", "/health", "/livez", "/readyz"];

/** Read by hand: of some that pass for host names, the platform makes no URL. */
function splitUrl(url: string): { authority: string; path: string } {
  const [, authority = "", path = ""] = /^[a-z]+:\/\/([^/?#]*)([^?#]*)/.exec(url) ?? [];
  return { authority, path };
}

function isOpen(path: string): boolean {
  return path.startsWith(INGEST_PATH) || OPEN_PATHS.includes(path);
}

function strangeHost(host: string): ApiError {
  const name = nameOf(host);
  return new ApiError(
    "HOST_NOT_ALLOWED",
    `The name ${JSON.stringify(name)} may be anybody's: if it is yours, start with ` +
      `--allowed-hosts=${name}, or use an address`,
  );
}

/** A route for other methods beside ingest's would make Hono compose the two; so it is told here. */
function explainNotFound(app: Hono, { req: { method, path } }: Context): ApiError {
  const allow = methodsOf(app, path).join(", ");
  if (allow === "") return new ApiError("NOT_FOUND", `There is nothing at ${path}`);
  return new ApiError("METHOD_NOT_ALLOWED", `${method} is not allowed here: use ${allow}`, {
    allow,
  });
}

/** The methods that a path knows, for `Allow`; empty when nothing is there. */
function methodsOf(app: Hono, path: string): string[] {
  const known = [...new Set(app.routes.map(({ method }) => method))];
  const found = known.filter((method) => app.router.match(method, path)[0].length > 0);
  return found.includes("GET") ? [...found, "HEAD"] : found;
}
