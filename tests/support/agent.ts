/**
 * An agent that posts packets to a distributor and remembers what it was promised.
 *
 * Always true: an id is in `acknowledged` exactly if its packet was answered 202.
 */

import type { Random } from "../../src/random.ts";

/** A packet ready to be posted. */
export interface TestPacket {
  readonly id: string;
  readonly messages: number;
  readonly body: string;
}

/** A refusal as the agent saw it. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: string | null;
  readonly tookMs: number;
}

/** A packet of messages as small as they can be; `text` becomes the first one's message. */
export function makePacket(id: string, messages = 1, text?: string): TestPacket {
  const first = text === undefined ? "{}" : JSON.stringify({ level: "INFO", message: text });
  const rest = ",{}".repeat(messages - 1);
  return { id, messages, body: `{"packet_id":"${id}","log_messages":[${first}${rest}]}` };
}

/** Packets of 1 to 1000 messages, log-uniform: most are small, the large hold most messages. */
export function heavyTailed(prefix: string, count: number, random: Random): TestPacket[] {
  return Array.from(
    { length: count },
    (_, i) => makePacket(`${prefix}-${i}`, Math.floor(1000 ** random())),
  );
}

export class Agent {
  readonly attempted = new Set<string>();
  /** Messages by packet id. */
  readonly acknowledged = new Map<string, number>();
  readonly refusals: Refusal[] = [];
  /** Packets without any answer: whether they were accepted is not known. */
  readonly unanswered = new Set<string>();
  readonly #endpoint: string;
  readonly #client: Deno.HttpClient | undefined;

  /** @param options.client in place of the one that keeps connections for all */
  constructor(distributorUrl: string, { client }: { client?: Deno.HttpClient } = {}) {
    this.#endpoint = `${distributorUrl}/api/v1/logs`;
    this.#client = client;
  }

  get acknowledgedMessages(): number {
    let total = 0;
    for (const messages of this.acknowledged.values()) total += messages;
    return total;
  }

  /** Posts one packet; returns the status, or 0 if there was no answer. */
  async post(packet: TestPacket): Promise<number> {
    this.attempted.add(packet.id);
    const startedMs = performance.now();
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#endpoint, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: packet.body,
        ...(this.#client ? { client: this.#client } : {}),
      });
      text = await response.text();
    } catch {
      this.unanswered.add(packet.id);
      return 0;
    }
    if (response.status === 202) this.acknowledged.set(packet.id, packet.messages);
    else {
      this.refusals.push({
        status: response.status,
        code: JSON.parse(text).code,
        retryAfter: response.headers.get("retry-after"),
        tookMs: performance.now() - startedMs,
      });
    }
    return response.status;
  }

  /** Posts all packets, a bounded number at a time. */
  async sendAll(packets: Iterable<TestPacket>, concurrency = 32): Promise<void> {
    const queue = packets[Symbol.iterator]();
    const send = async () => {
      for (let next = queue.next(); !next.done; next = queue.next()) await this.post(next.value);
    };
    await Promise.all(Array.from({ length: concurrency }, send));
  }

  /** Posts packets on schedule until told to stop; late ones are sent at once. */
  startLoad(options: LoadOptions): Load {
    return new Load(this, options);
  }
}

export interface LoadOptions {
  readonly ratePerSecond: number;
  /** Makes the packet of that number. */
  readonly next: (number: number) => TestPacket;
  /** Posts under way at most. @default 500 */
  readonly concurrency?: number;
}

const TICK_MS = 10;

/** A steady stream of packets. */
export class Load {
  readonly #agent: Agent;
  readonly #options: LoadOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #startedMs = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #sent = 0;

  constructor(agent: Agent, options: LoadOptions) {
    this.#agent = agent;
    this.#options = options;
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  get sent(): number {
    return this.#sent;
  }

  /** Ends the stream and resolves to the packets per second when all have been answered. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    const rate = this.#sent / (performance.now() - this.#startedMs) * 1000;
    await Promise.all(this.#underWay);
    return rate;
  }

  #sendDue(): void {
    const { ratePerSecond, next, concurrency = 500 } = this.#options;
    const due = (performance.now() - this.#startedMs) / 1000 * ratePerSecond;
    while (this.#sent < due && this.#underWay.size < concurrency) {
      const posting = this.#agent.post(next(this.#sent++)).then(() => {
        this.#underWay.delete(posting);
      });
      this.#underWay.add(posting);
    }
  }
}
