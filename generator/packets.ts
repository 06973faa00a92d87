/**
 * Seeded packets, cheap to build: everything but ids and timestamps is text made in advance.
 *
 * The same seed gives the same sizes and the same messages; the run id, which is part of each
 * packet_id, always differs, so that two runs never send the same packet_id.
 */

import type { LogMessage } from "../src/packet.ts";
import { type Random, seededRandom } from "../src/random.ts";
import type { BatchRange } from "./options.ts";

const CATALOGUE_SIZE = 509;

const LEVELS: readonly [LogMessage["level"], number][] = [
  ["INFO", 0.62],
  ["DEBUG", 0.8],
  ["WARNING", 0.92],
  ["ERROR", 0.99],
  ["FATAL", 1],
];

const SOURCES = ["checkout", "payments", "inventory", "auth", "search", "gateway", "mailer"];

const TEXTS: Record<LogMessage["level"], readonly string[]> = {
  DEBUG: [
    "cache miss for key session:%d, loaded from the database",
    "retry budget for upstream orders is at %d of 100000 tokens",
  ],
  INFO: [
    "GET /api/v2/orders/%d answered 200 with 1 item, not cached",
    "user %d signed in from a known device with a second factor",
  ],
  WARNING: [
    "slow query on orders_by_day took %d ms, the limit is 250 ms",
    "volume /var/lib/data will be full after another %d MB",
  ],
  ERROR: [
    "payment %d declined by the provider: timed out after 30 s",
    "cannot reserve item %d for this order: out of stock",
  ],
  FATAL: ["cannot open the listener after %d tries, giving up", "heap limit of %d MB reached"],
};

/** One packet, ready to be sent. */
export interface Packet {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly messages: number;
}

export interface PacketOptions {
  readonly agent: string;
  readonly runId: string;
  readonly seed: number;
  readonly batch: BatchRange;
}

/** Makes the packets of one run, one after the other. */
export class PacketFactory {
  readonly #random: Random;
  readonly #batch: BatchRange;
  readonly #idPrefix: string;
  readonly #agentPiece: string;
  readonly #runPiece: string;
  readonly #endings: readonly string[];
  readonly #encoder = new TextEncoder();
  #count = 0;
  #stampMs = NaN;
  #stamp = "";

  constructor({ agent, runId, seed, batch }: PacketOptions) {
    this.#random = seededRandom(seed);
    this.#batch = batch;
    this.#idPrefix = JSON.stringify(`${agent}-${runId}-`).slice(1, -1);
    this.#agentPiece = `","agent_id":${JSON.stringify(agent)},"sent_at":"`;
    this.#runPiece = `],"metadata":{"run_id":${JSON.stringify(runId)}}}`;
    this.#endings = Array.from({ length: CATALOGUE_SIZE }, () => writeEnding(this.#random));
  }

  /** Makes the next packet; its numbers go up from 1. */
  next(wallMs: number): Packet {
    const id = this.#idPrefix + ++this.#count;
    const stamp = this.#formatStamp(wallMs);
    const messages = drawSize(this.#batch, this.#random);
    const middle = `","timestamp":"${stamp}`;
    let from = Math.floor(this.#random() * CATALOGUE_SIZE);
    let text = `{"packet_id":"${id}${this.#agentPiece}${stamp}","log_messages":[`;
    for (let i = 1; i <= messages; i++) {
      text += (i === 1 ? '{"id":"' : ',{"id":"') + id + "-" + i + middle + this.#endings[from];
      if (++from === CATALOGUE_SIZE) from = 0;
    }
    return { body: this.#encoder.encode(text + this.#runPiece), messages };
  }

  /** Many packets share a millisecond, and writing a date is dear. */
  #formatStamp(wallMs: number): string {
    if (wallMs !== this.#stampMs) {
      this.#stampMs = wallMs;
      this.#stamp = new Date(wallMs).toISOString();
    }
    return this.#stamp;
  }
}

/** Draws a log-uniform size: each doubling is as likely as any other. */
function drawSize({ min, max }: BatchRange, random: Random): number {
  if (min === max) return min;
  return Math.min(max, Math.floor(min * ((max + 1) / min) ** random()));
}

/** Writes what follows a message's timestamp, from the closing quote on. */
function writeEnding(random: Random): string {
  const draw = random();
  const level = LEVELS.find(([, limit]) => draw < limit)![0];
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  const number = (digits: number) => Math.floor(10 ** (digits - 1) * (1 + 9 * random()));
  const source = pick(SOURCES);
  const message = pick(TEXTS[level]).replace("%d", String(number(5)));
  const metadata = { host: `${source}-${number(1)}`, trace_id: `${number(8)}${number(8)}` };
  return `",${JSON.stringify({ level, source, message, metadata }).slice(1)}`;
}
