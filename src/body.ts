/** Reads a request's body within a bound, sent and inflated. */

import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { ApiError } from "./errors.ts";

const gunzipBounded = promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(gunzip);

/** A body that is answered without being wanted is read on to this size, to keep its connection. */
const MAX_DRAINED_BYTES = 64 * 1024;

/**
 * Reads a body, inflating `Content-Encoding: gzip`.
 *
 * @param maxBytes holds for the body as sent and as inflated
 * @throws {ApiError} BODY_TOO_LARGE, UNSUPPORTED_ENCODING, INVALID_ENCODING, BODY_INCOMPLETE
 */
export function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const { headers } = request;
  const encoding = headers.get("content-encoding");
  const length = headers.get("content-length");
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  // What nearly every body is goes by the shortest way.
  if (encoding === null && length !== null) return request.bytes().catch(refuseIncomplete);
  return readEncoded(request, { encoding: parseEncoding(encoding), maxBytes });
}

/** Reads and forgets a short body, so that the connection can serve on; leaves a long one. */
export async function drainBody(request: Request): Promise<void> {
  const length = Number(request.headers.get("content-length") ?? NaN);
  if (!(length <= MAX_DRAINED_BYTES)) return;
  try {
    await request.arrayBuffer();
  } catch {
    // The client went away: there is nobody left to answer.
  }
}

/** Whether a body is compressed. */
function parseEncoding(header: string | null): "identity" | "gzip" {
  const encoding = (header ?? "").trim().toLowerCase();
  if (encoding === "gzip" || encoding === "x-gzip") return "gzip";
  if (encoding === "" || encoding === "identity") return "identity";
  throw new ApiError(
    "UNSUPPORTED_ENCODING",
    `Content-Encoding ${JSON.stringify(encoding)} is not supported: send gzip or none`,
    { "accept-encoding": "gzip" },
  );
}

async function readEncoded(
  request: Request,
  { encoding, maxBytes }: { encoding: "identity" | "gzip"; maxBytes: number },
): Promise<Uint8Array> {
  const sent = await readBounded(request, maxBytes).catch(refuseIncomplete);
  return encoding === "gzip" ? await inflate(sent, maxBytes) : sent;
}

async function readBounded(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

async function inflate(sent: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await gunzipBounded(sent, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new ApiError("INVALID_ENCODING", "The body is not valid gzip");
  }
}

/** What fails while a body is read is the client's going away, unless it is a refusal already. */
function refuseIncomplete(error: unknown): never {
  if (error instanceof ApiError) throw error;
  throw new ApiError("BODY_INCOMPLETE", "The body ended before its announced length");
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(
    "BODY_TOO_LARGE",
    `The body is larger than ${maxBytes} bytes, sent or inflated: send smaller packets, or raise --max-body`,
  );
}
