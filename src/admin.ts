/**
 * The operators' routes: analyzers, dead letters, metrics, health and readiness.
 *
 * Reads snapshots, and changes only through the registry and the queue that are handed in.
 */

import type { Context, Hono } from "@hono/hono";
import { STATUS_CODE } from "@std/http/status";
import { parseAnalyzer, parseAnalyzerChange } from "./analyzer_config.ts";
import { BodyReader, FixedRoom } from "./body.ts";
import type { Clock } from "./clock.ts";
import { ApiError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { MetricsView } from "./metrics.ts";
import {
  type Carried,
  DEAD_REASONS,
  type DeadLetterInfo,
  type DeadReason,
  type Selection,
} from "./queue/dead_letter.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import { MAX_ANALYZERS, type Registry } from "./registry.ts";
import type { Warning } from "./warnings.ts";

/** Orders are short. */
const MAX_ADMIN_BODY_BYTES = 1024 * 1024;
/** Orders have memory of their own: they must get through while the queue is full. */
const ADMIN_BODIES_BYTES = 16 * MAX_ADMIN_BODY_BYTES;
const MAX_PAGE = 1000;
/** Far more than there will ever be, and exact as a number. */
const MAX_OFFSET = 999_999_999_999_999;
/** Ids that an answer names as not found; it tells the number of all. */
const MAX_NOT_FOUND = 100;

export interface AdminDoors {
  readonly registry: Registry;
  readonly queue: PacketQueue;
  readonly metrics: () => MetricsView;
  readonly clock: Clock;
  readonly log: Log;
  /** Why the distributor is not ready, or undefined. */
  readonly unready: () => string | undefined;
  /** What an operator ought to see to, though packets are taken. */
  readonly warnings: () => readonly Warning[];
}

/** Ends with a line break, for those who read answers on a terminal. */
function sendJson(value: unknown, status: number = STATUS_CODE.OK): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json" },
  });
}

/** Reads the JSON body of an order that changes something. */
type ReadOrder = (context: Context) => Promise<unknown>;
type OrderDoors = AdminDoors & { readonly readOrder: ReadOrder };

/** Adds the operators' routes to the app. */
export function addAdminRoutes(app: Hono, doors: AdminDoors): void {
  const readOrder = createOrderReader(doors.clock);
  addAnalyzerRoutes(app, { ...doors, readOrder });
  addDeadLetterRoutes(app, { ...doors, readOrder });
  app.get("/api/v1/metrics", () => sendJson(doors.metrics()));
  app.get("/health", () => sendJson({ status: "healthy" }));
  app.get("/livez", () => sendJson({ status: "alive" }));
  app.get("/readyz", () => {
    const reason = doors.unready();
    const told = doors.warnings().map(({ text }) => text);
    const warnings = told.length === 0 ? {} : { warnings: told };
    return reason === undefined
      ? sendJson({ status: "ready", ...warnings })
      : sendJson({ status: "unready", reason, ...warnings }, STATUS_CODE.ServiceUnavailable);
  });
}

function addAnalyzerRoutes(app: Hono, { registry, readOrder }: OrderDoors): void {
  const view = (id: string) => {
    const found = registry.view(id);
    if (!found) {
      throw new ApiError("ANALYZER_NOT_FOUND", `There is no analyzer ${JSON.stringify(id)}`);
    }
    return found;
  };
  app.get("/api/v1/analyzers", () => sendJson({ analyzers: registry.views() }));
  app.get("/api/v1/analyzers/:id", (context) => sendJson(view(context.req.param("id"))));
  app.post("/api/v1/analyzers", async (context) => {
    const config = parseAnalyzer(await readOrder(context));
    if (registry.size >= MAX_ANALYZERS && !registry.get(config.id)) {
      throw new ApiError("TOO_MANY_ANALYZERS", `There are ${MAX_ANALYZERS} analyzers already`);
    }
    const status = registry.put(config);
    return sendJson({
      status,
      message: `Analyzer ${status === "created" ? "added" : "updated"} successfully`,
      analyzer: view(config.id),
    }, status === "created" ? STATUS_CODE.Created : STATUS_CODE.OK);
  });
  app.patch("/api/v1/analyzers/:id", async (context) => {
    const { id } = view(context.req.param("id"));
    const change = parseAnalyzerChange(await readOrder(context));
    const analyzer = registry.get(id);
    if (analyzer) registry.update(analyzer, change);
    return sendJson({
      status: "updated",
      message: "Analyzer updated successfully",
      analyzer: view(id),
    });
  });
  app.delete("/api/v1/analyzers/:id", (context) => {
    refuseCrossOrigin(context);
    const { id } = view(context.req.param("id"));
    registry.remove(id);
    return sendJson({ status: "deleted", message: "Analyzer removed successfully" });
  });
}

function addDeadLetterRoutes(app: Hono, { queue, log, readOrder }: OrderDoors): void {
  app.get("/api/v1/dead-letters", (context) => {
    const offset = readWhole(context, "offset", { fallback: 0, max: MAX_OFFSET });
    const limit = readWhole(context, "limit", { fallback: 100, max: MAX_PAGE });
    return sendJson({
      total: queue.deadLetters.size,
      offset,
      dead_letters: queue.deadLetters.list({ offset, limit }).map(viewDeadLetter),
    });
  });
  app.get("/api/v1/dead-letters/:id", (context) => {
    const id = context.req.param("id");
    const bytes = queue.deadLetters.bytesOf(id);
    if (!bytes) throw noDeadLetter(id);
    return context.body(bytes, STATUS_CODE.OK, {
      "content-type": "application/json",
    });
  });
  app.post("/api/v1/dead-letters/replay", async (context) => {
    const selection = parseSelection(await readOrder(context));
    const done = await queue.replay(selection);
    log.info("dead letters replayed", { packets: done.packets, source: "api" });
    return sendJson({
      status: "replayed",
      replayed: done.packets,
      ...viewMissing(selection, done),
    });
  });
  app.delete("/api/v1/dead-letters", async (context) => {
    const selection = parseSelection(await readOrder(context));
    const done = await queue.deleteDead(selection);
    log.info("dead letters deleted", { packets: done.packets, source: "api" });
    return sendJson({ status: "deleted", deleted: done.packets, ...viewMissing(selection, done) });
  });
  app.delete("/api/v1/dead-letters/:id", async (context) => {
    refuseCrossOrigin(context);
    const id = context.req.param("id");
    const { packets: deleted } = await queue.deleteDead({ ids: [id] });
    if (deleted === 0) throw noDeadLetter(id);
    log.info("dead letters deleted", { packets: deleted, source: "api" });
    return sendJson({ status: "deleted", deleted });
  });
}

/** Where an order names ids, its answer tells which of them were not found. */
function viewMissing({ ids }: Selection, { notFound }: Carried): Record<string, unknown> {
  if (!ids) return {};
  return { not_found: notFound.slice(0, MAX_NOT_FOUND), not_found_count: notFound.length };
}

function viewDeadLetter(letter: DeadLetterInfo): Record<string, unknown> {
  return {
    packet_id: letter.packetId,
    reason: letter.reason,
    attempts: letter.attempts,
    analyzer: letter.analyzer,
    detail: letter.detail,
    messages: letter.messages,
    bytes: letter.bytes,
    since: letter.since,
  };
}

function createOrderReader(clock: Clock): ReadOrder {
  const room = new FixedRoom(ADMIN_BODIES_BYTES);
  const bodies = new BodyReader({ maxBytes: MAX_ADMIN_BODY_BYTES, room, clock, full: busy });
  return async function readOrder(context) {
    const request = context.req.raw;
    refuseCrossOrigin(context);
    checkContentType(context);
    const bytes = await bodies.read(request, bodies.announced(request));
    try {
      return parseJson(bytes);
    } finally {
      room.release(bytes.length);
    }
  };
}

function checkContentType(context: Context): void {
  const type = (context.req.header("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/json") return;
  throw new ApiError(
    "UNSUPPORTED_TYPE",
    `This order needs the header Content-Type: application/json`,
    { "accept-post": "application/json" },
  );
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ApiError("INVALID_UTF8", "The body is not valid UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError("INVALID_JSON", `Cannot read the body as JSON: ${(error as Error).message}`);
  }
}

function busy(): ApiError {
  return new ApiError("BUSY", "Too many orders are being read: send again after a moment", {
    "retry-after": "1",
  });
}

/** A page of another site must not be able to change anything through a visitor's browser. */
function refuseCrossOrigin(context: Context): void {
  const origin = context.req.header("origin");
  if (origin === undefined) return;
  // HTTP/2 has no Host; its URL has what stands for it.
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new ApiError(
    "CROSS_ORIGIN",
    `Requests from pages of ${JSON.stringify(origin)} are refused`,
  );
}

function parseSelection(value: unknown): Selection {
  const invalid = (detail: string) => new ApiError("INVALID_QUERY", detail);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid('expected a JSON object with "all": true, "ids" or "reason"');
  }
  const { all, ids, reason, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw invalid(`unknown field ${JSON.stringify(unknown)}`);
  if (all === undefined && ids === undefined && reason === undefined) {
    throw invalid('say which: "all": true, "ids": ["…"] or "reason": "…"');
  }
  if (all !== undefined && all !== true) throw invalid("all must be true or absent");
  if (all && (ids !== undefined || reason !== undefined)) {
    throw invalid('"all": true stands alone: leave it out, or leave out "ids" and "reason"');
  }
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "string"))) {
    throw invalid("ids must be an array of packet ids");
  }
  if (reason !== undefined && !DEAD_REASONS.includes(reason as DeadReason)) {
    throw invalid(`reason must be one of ${DEAD_REASONS.join(", ")}`);
  }
  return {
    ...(ids === undefined ? {} : { ids: ids as string[] }),
    ...(reason === undefined ? {} : { reason: reason as DeadReason }),
  };
}

function readWhole(
  context: Context,
  name: string,
  { fallback, max }: { fallback: number; max: number },
): number {
  const text = context.req.query(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value > max) {
    throw new ApiError("INVALID_QUERY", `${name} must be a whole number from 0 to ${max}`);
  }
  return value;
}

function noDeadLetter(id: string): ApiError {
  return new ApiError("DEAD_LETTER_NOT_FOUND", `There is no dead letter ${JSON.stringify(id)}`);
}
