/**
 * `POST /analyze`: reads the packets, lets the faults happen, counts, answers.
 *
 * Called by the mock analyzer's app. Always true: a packet is counted in the same turn of the event
 * loop in which its 200 is returned, and not at all if anything else is answered.
 */

import type { LogPacket } from "../src/packet.ts";
import type { Random } from "../src/random.ts";
import { answerProblem } from "./answers.ts";
import { BodyTooLarge, readBody } from "./body.ts";
import { drawFault, isFaulty, type Knobs } from "./faults.ts";
import type { Holds } from "./holds.ts";
import { breakConnection } from "./listener.ts";
import { decodeBody, parseBatch, parsePacket } from "./packets.ts";
import type { Tally } from "./tally.ts";

export const JSON_TYPE = "application/json";
export const NDJSON_TYPE = "application/x-ndjson";
/** What `curl -d` sends when no Content-Type is given. */
const CURL_TYPE = "application/x-www-form-urlencoded";
const MAX_BODY_BYTES = 64 * 2 ** 20;
const SLOW_BODY_STEPS = 20;

/** What an analysis works with; the knobs are those of the moment. */
export interface AnalysisParts {
  readonly batches: boolean;
  readonly tally: Tally;
  readonly holds: Holds;
  readonly random: Random;
  readonly readKnobs: () => Knobs;
  readonly journal: Journal | undefined;
}

/** Takes the ids of the packets of one request, before it is answered. */
export type Journal = (packetIds: readonly string[]) => void;

interface Work {
  readonly packets: readonly LogPacket[];
  readonly text: string;
  readonly bytes: number;
  readonly isBatch: boolean;
}

export class Analysis {
  /** The value of `Accept-Post`. */
  readonly accepts: string;
  readonly #parts: AnalysisParts;

  constructor(parts: AnalysisParts) {
    this.#parts = parts;
    this.accepts = parts.batches ? `${JSON_TYPE}, ${NDJSON_TYPE}` : JSON_TYPE;
  }

  async answer(request: Request): Promise<Response> {
    this.#parts.tally.countRequest();
    const encoding = request.headers.get("content-encoding");
    if (encoding !== null && encoding !== "identity") {
      return answerProblem(415, `Cannot read a body with Content-Encoding ${encoding}`, {
        headers: { "accept-encoding": "identity" },
      });
    }
    const type = readMediaType(request);
    const isBatch = type === NDJSON_TYPE && this.#parts.batches;
    if (!isBatch && type !== JSON_TYPE && type !== CURL_TYPE) {
      return answerProblem(415, `Cannot read a body of type ${type}: allowed is ${this.accepts}`, {
        headers: { "accept-post": this.accepts },
      });
    }
    let work;
    try {
      work = await readWork(request, isBatch);
    } catch (error) {
      const status = error instanceof BodyTooLarge ? 413 : 400;
      return answerProblem(status, (error as Error).message);
    }
    const knobs = this.#parts.readKnobs();
    return isFaulty(knobs) ? this.#answerFaultily(work, knobs) : this.#process(work, 0);
  }

  async #answerFaultily(work: Work, knobs: Knobs): Promise<Response> {
    const { holds, random } = this.#parts;
    const fault = drawFault(knobs, random);
    if (fault.kind === "hang") return answerUnhung(await holds.hang());
    if (fault.delayMs > 0 && await holds.delay(fault.delayMs) === "cut") return breakConnection();
    if (fault.kind === "error") return answerFault(knobs, "error-rate");
    if (knobs.rejectMessage !== "" && work.text.includes(knobs.rejectMessage)) {
      return answerFault(knobs, "reject-message");
    }
    return this.#process(work, knobs.slowBody);
  }

  #process({ packets, bytes, isBatch }: Work, slowBodyMs: number): Response {
    const { tally, holds, journal } = this.#parts;
    journal?.(packets.flatMap(({ packet_id }) => packet_id || []));
    let messages = 0;
    for (const packet of packets) {
      tally.countPacket(packet);
      messages += packet.log_messages.length;
    }
    tally.countBytes(bytes);
    if (isBatch) tally.countBatch();
    const text = `{"status":"processed","packets":${packets.length},"messages":${messages}}\n`;
    const body = slowBodyMs > 0 ? dribble(text, { holds, durationMs: slowBodyMs }) : text;
    return new Response(body, { headers: { "content-type": JSON_TYPE } });
  }
}

function readMediaType(request: Request): string {
  const header = request.headers.get("content-type");
  if (header === null || header === JSON_TYPE) return JSON_TYPE;
  return header.split(";", 1)[0]!.trim().toLowerCase();
}

async function readWork(request: Request, isBatch: boolean): Promise<Work> {
  const body = await readBody(request, MAX_BODY_BYTES);
  const text = decodeBody(body);
  const packets = isBatch ? parseBatch(text) : [parsePacket(text)];
  return { packets, text, bytes: body.length, isBatch };
}

/** The answer to a request that hung: none if the analyzer is gone, else that it came to nothing. */
export function answerUnhung(ending: string): Response {
  if (ending === "cut") return breakConnection();
  return answerProblem(503, "The request hung by the fault hang-rate, and was let go");
}

function answerFault(knobs: Knobs, name: string): Response {
  const headers: Record<string, string> = {};
  if (knobs.retryAfter >= 0) headers["retry-after"] = String(knobs.retryAfter);
  return answerProblem(knobs.errorCode, `Injected by the fault ${name}`, { headers });
}

/** Sends a text in small pieces, evenly over a time. */
function dribble(text: string, { holds, durationMs }: { holds: Holds; durationMs: number }) {
  const bytes = new TextEncoder().encode(text);
  const stepBytes = Math.ceil(bytes.length / SLOW_BODY_STEPS);
  const stepMs = durationMs / Math.ceil(bytes.length / stepBytes);
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (await holds.delay(stepMs) === "cut") return controller.error(new Error("Cut"));
      controller.enqueue(bytes.subarray(sent, sent + stepBytes));
      sent += stepBytes;
      if (sent >= bytes.length) controller.close();
    },
  }, { highWaterMark: 0 });
}
