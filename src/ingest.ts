/**
 * The hot route: limit → read → scan → accept → keep → 202, or a 4xx, or a 503.
 *
 * Owns nothing. Always true: a 202 goes out only for a packet that the queue has let in and kept as
 * its durability promises.
 */

import { BodyReader } from "./body.ts";
import type { Clock } from "./clock.ts";
import type { Discarder } from "./discard.ts";
import { ApiError } from "./errors.ts";
import type { Instruments } from "./instruments.ts";
import type { Log } from "./log.ts";
import type { IngestMetrics } from "./metrics.ts";
import { memoryBytes, type Packet, PACKET_OVERHEAD_BYTES, sealPacket } from "./packet.ts";
import { scanFast } from "./fast_scanner.ts";
import { confess, problemResponse } from "./problem.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import { draining, queueFull } from "./queue/refusals.ts";
import type { Tracing } from "./tracing.ts";

/** How long a request waits for room before it is refused: delivery gets a turn to make some. */
const ROOM_WAIT_MS = 50;

/** What ingest needs of the queue: in another thread, something stands for it. */
export type Intake = Pick<
  PacketQueue,
  | "durability"
  | "capacityBytes"
  | "hasRoom"
  | "fullReason"
  | "reserve"
  | "release"
  | "roomAgain"
  | "accept"
  | "kept"
>;

export interface IngestDoors {
  readonly queue: Intake;
  readonly metrics: Pick<IngestMetrics, "reject">;
  readonly instruments?: Pick<Instruments, "accepted">;
  readonly tracing?: Tracing | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly maxBodyBytes: number;
  readonly discarder: Discarder;
  /** Whether packets are let in at all. */
  readonly isOpen: () => boolean;
}

/** Makes the handler of `POST /api/v1/logs`. */
export function createIngest(doors: IngestDoors): (request: Request) => Promise<Response> {
  const { queue } = doors;
  const bodies = new BodyReader({
    maxBytes: doors.maxBodyBytes,
    room: queue,
    clock: doors.clock,
    full: () => queueFull(queue.fullReason),
  });
  return async function ingest(request) {
    const startedMs = doors.clock.monotonicMs();
    let reservedBytes = 0;
    try {
      if (!doors.isOpen()) throw draining();
      const isForm = checkContentType(request.headers.get("content-type"));
      const length = bodies.announced(request);
      const bytes = PACKET_OVERHEAD_BYTES + (length || 0);
      if (!queue.hasRoom(bytes)) await waitForRoom(bytes, queue);
      const received = await bodies.read(request, length);
      reservedBytes = received.length;
      const packet = readPacket(received, { isForm, doors });
      doors.tracing?.accepted(packet);
      // The drain may have begun while the body came in.
      if (!doors.isOpen()) throw draining();
      const { kept } = queue.accept(packet, reservedBytes)
        ? { kept: queue.kept() }
        : await acceptLater(packet, { reservedBytes, doors });
      reservedBytes = 0;
      if (kept) await kept;
      doors.instruments?.accepted(startedMs);
      return accepted(packet.id, queue.durability);
    } catch (error) {
      if (reservedBytes > 0) queue.release(reservedBytes);
      const refusal = toRefusal(error, doors);
      doors.metrics.reject(refusal.code);
      await doors.discarder.discard(request);
      return problemResponse(refusal);
    }
  };
}

/** A body that the drain cut off may come again; one that its sender left unfinished is its fault. */
function toRefusal(error: unknown, { isOpen, log }: IngestDoors): ApiError {
  const refusal = confess(error, log);
  if (refusal.code === "BODY_INCOMPLETE" && !isOpen()) return draining();
  if (refusal.code === "QUEUE_FULL") log.warn("packet refused", { reason: refusal.message });
  return refusal;
}

/** Before the body is read, so that a full queue costs no memory for bodies. */
async function waitForRoom(bytes: number, queue: Intake): Promise<void> {
  await queue.roomAgain(bytes, ROOM_WAIT_MS);
  if (!queue.hasRoom(bytes)) throw queueFull(queue.fullReason);
}

/**
 * The queue filled up while the body came in. What it returns resolves once the packet is kept.
 *
 * @throws {ApiError} QUEUE_FULL, DRAINING
 */
export async function acceptLater(
  packet: Packet,
  { reservedBytes, doors: { queue, isOpen } }: {
    reservedBytes: number;
    doors: Pick<IngestDoors, "queue" | "isOpen">;
  },
): Promise<{ kept: Promise<void> | undefined }> {
  await queue.roomAgain(memoryBytes(packet) - reservedBytes, ROOM_WAIT_MS);
  if (!isOpen()) throw draining();
  if (!queue.accept(packet, reservedBytes)) throw queueFull(queue.fullReason);
  // Asked for here and now: a moment later it could be another packet's.
  return { kept: queue.kept() };
}

function readPacket(
  received: Uint8Array,
  { isForm, doors }: { isForm: boolean; doors: IngestDoors },
): Packet {
  try {
    return sealPacket(received, scanFast(received), {
      receivedAt: formatWall(doors.clock.wallMs()),
      acceptedAtMs: doors.clock.monotonicMs(),
      newId: doors.newId,
    });
  } catch (error) {
    // curl -d calls everything a form; what does not even begin as JSON may well be one.
    const mayBeForm = isForm && error instanceof ApiError && error.status === 400 &&
      !beginsAsJson(received);
    throw mayBeForm ? unsupportedType("application/x-www-form-urlencoded") : error;
  }
}

function beginsAsJson(received: Uint8Array): boolean {
  const [first] = new TextDecoder().decode(received.subarray(0, 64)).trimStart();
  return first === "{" || first === "[";
}

let formattedMs = NaN;
let formatted = "";

/** RFC 3339. Under load many packets share a millisecond, and formatting costs more than scanning. */
function formatWall(wallMs: number): string {
  if (wallMs !== formattedMs) {
    formattedMs = wallMs;
    formatted = new Date(wallMs).toISOString();
  }
  return formatted;
}

/** Whether the type is a form's, which is taken if it reads as JSON. */
function checkContentType(header: string | null): boolean {
  if (header === null || header === "application/json") return false;
  const type = header.split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/x-www-form-urlencoded") return true;
  if (type !== "application/json" && type !== "") throw unsupportedType(type);
  return false;
}

function accepted(packetId: string, durability: string): Response {
  return new Response(
    `{"status":"accepted","message":"Log packet queued for processing",` +
      `"packet_id":${JSON.stringify(packetId)},"durability":"${durability}"}`,
    { status: 202, headers: JSON_HEADERS },
  );
}

const JSON_HEADERS = { "content-type": "application/json" };

function unsupportedType(type: string): ApiError {
  return new ApiError(
    "UNSUPPORTED_TYPE",
    `Content-Type ${JSON.stringify(type)} is not supported: send application/json`,
    { "accept-post": "application/json" },
  );
}
