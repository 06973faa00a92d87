/**
 * One attempt: a POST with a deadline. Returns an {@link Outcome}; never throws for I/O.
 *
 * Called by the lanes. `http:` goes over our own kept-alive connections, `https:` through fetch.
 * Always true: an answer's body is read to its end or cut off, and no timer outlives its attempt.
 */

import type { Clock } from "./clock.ts";
import { HttpClient } from "./http_client.ts";
import type { RequestBody } from "./http_connection.ts";
import { type Answer, HttpError } from "./http_error.ts";
import { answerOf, fetchWithin } from "./http_fetch.ts";
import { type Outcome, outcomeOfStatus } from "./outcome.ts";
import { batchLength, type Packet, writeBatch, writePacket } from "./packet.ts";

/** An answer is read to this many bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024;
/** Time for opening a connection. */
export const CONNECT_TIMEOUT_MS = 2000;

/** What one request carries. */
export type Batch = readonly [Packet, ...Packet[]];

/** Posts packets to an analyzer: one as JSON, several as NDJSON. */
export interface Delivery {
  /** @param url the analyzer's base URL; `/analyze` is appended */
  post(url: string, packets: Batch): Promise<Outcome>;
  /** An analyzer is gone: its idle connections are closed, what is under way goes on. */
  forget(url: string): void;
  /** Ends everything at once. */
  close(): void;
}

export interface DeliveryOptions {
  /** For one attempt, from connecting to the end of the answer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Delivers by the transport that fits each URL. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const tcp = new TcpDelivery(options);
  const other = new FetchDelivery(options);
  const fitting = (url: string) => url.startsWith("http:") ? tcp : other;
  return {
    post: (url, packets) => fitting(url).post(url, packets),
    forget: (url) => fitting(url).forget(url),
    close: () => {
      tcp.close();
      other.close();
    },
  };
}

/** Delivers with fetch and one AbortSignal an attempt. */
export class FetchDelivery implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #closing = new AbortController();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  async post(url: string, packets: Batch): Promise<Outcome> {
    const { timeoutMs, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      const answer = await fetchWithin(`${url}/analyze`, {
        init: {
          method: "POST",
          headers: describeRequest(packets),
          body: bytesOf(bodyOf(packets)),
        },
        timeoutMs,
        clock,
        signal: this.#closing.signal,
        read: async (response) => {
          await consume(response);
          return answerOf(response, clock);
        },
      });
      return outcomeOfAnswer(answer, clock.monotonicMs() - startedMs);
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  forget(): void {}

  close(): void {
    this.#closing.abort();
  }
}

interface Target {
  readonly client: HttpClient;
  /** Request line and Host. */
  readonly head: string;
}

/** Delivers over kept-alive TCP connections: a third of the cost of fetch. */
export class TcpDelivery implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #targets = new Map<string, Target>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  async post(url: string, packets: Batch): Promise<Outcome> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const { client, head } = this.#targets.get(url) ?? this.#addTarget(url);
    try {
      const answer = await client.request(head + headersOf(packets), bodyOf(packets));
      return outcomeOfAnswer(answer, clock.monotonicMs() - startedMs);
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  forget(url: string): void {
    this.#targets.get(url)?.client.retire();
    this.#targets.delete(url);
  }

  close(): void {
    for (const { client } of this.#targets.values()) client.close();
  }

  #addTarget(url: string): Target {
    const { timeoutMs, clock } = this.#options;
    const { pathname, host } = new URL(`${url}/analyze`);
    const target = {
      client: new HttpClient(new URL(url), {
        timeoutMs,
        connectTimeoutMs: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
        maxAnswerBytes: MAX_ANSWER_BYTES,
        clock,
      }),
      head: `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\n`,
    };
    this.#targets.set(url, target);
    return target;
  }
}

function describeRequest(packets: Batch): Record<string, string> {
  const [first] = packets;
  // identity: an answer that would have to be inflated could be far larger than it is long.
  if (packets.length > 1) {
    return { "Content-Type": "application/x-ndjson", "Accept-Encoding": "identity" };
  }
  return {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "X-Packet-Id": headerSafe(first.id),
    "X-Attempt": String(first.attempts + 1),
  };
}

const NDJSON_HEADERS = "Content-Type: application/x-ndjson\r\n";

/** The same as header lines. Nothing is inflated here, so nothing is said of encodings. */
function headersOf(packets: Batch): string {
  if (packets.length > 1) return NDJSON_HEADERS;
  const [{ id, attempts }] = packets;
  return "Content-Type: application/json\r\n" +
    `X-Packet-Id: ${headerSafe(id)}\r\nX-Attempt: ${attempts + 1}\r\n`;
}

/** Ids are the agents' own: what is not printable ASCII is percent-encoded. */
export function headerSafe(id: string): string {
  return /^[\x21-\x7e]*$/.test(id) ? id : encodeURIComponent(id.toWellFormed());
}

function bodyOf(packets: Batch): RequestBody {
  const [first] = packets;
  return packets.length === 1
    ? { length: first.bytes, writeTo: (target, offset) => writePacket(first, target, offset) }
    : {
      length: batchLength(packets),
      writeTo: (target, offset) => writeBatch(packets, target, offset),
    };
}

function bytesOf(body: RequestBody): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(body.length);
  body.writeTo(bytes, 0);
  return bytes;
}

/** Reads an answer's body to its end, or to {@link MAX_ANSWER_BYTES} and then cuts it off. */
async function consume(response: Response): Promise<void> {
  if (response.body === null) return;
  let read = 0;
  for await (const chunk of response.body) {
    read += chunk.length;
    if (read > MAX_ANSWER_BYTES) return;
  }
}

function outcomeOfAnswer({ status, retryAfterMs }: Answer, latencyMs: number): Outcome {
  return outcomeOfStatus(status, {
    latencyMs,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** @throws what is no I/O fault, and so a bug */
function outcomeOfError(error: unknown): Outcome {
  if (!(error instanceof HttpError)) throw error;
  const { fault } = error;
  const failure = fault === "connect" || fault === "timeout" ? fault : "broken";
  const detail = error.message.slice(0, 256);
  return { kind: "retriable", failure, detail, ...(error.fault === "lost" ? { gone: true } : {}) };
}
