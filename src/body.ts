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
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity" && encoding !== "gzip" && encoding !== "x-gzip") {
    throw new ApiError(
      "UNSUPPORTED_ENCODING",
      `Content-Encoding ${JSON.stringify(encoding)} is not supported: send gzip or none`,
      { "accept-encoding": "gzip" },
    );
  }
  const sent = await readSent(request, maxBytes);
  return encoding.endsWith("gzip") ? await inflate(sent, maxBytes) : sent;
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

async function readSent(request: Request, maxBytes: number): Promise<Uint8Array> {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  try {
    return length === null ? await readUnsized(request, maxBytes) : await request.bytes();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError("BODY_INCOMPLETE", "The body ended before its announced length");
  }
}

async function readUnsized(request: Request, maxBytes: number): Promise<Uint8Array> {
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

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(
    "BODY_TOO_LARGE",
    `The body is larger than ${maxBytes} bytes, sent or inflated: send smaller packets, or raise --max-body`,
  );
}
