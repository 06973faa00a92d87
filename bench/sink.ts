/**
 * The sink: one NGINX standing for two sets of four analyzers, and what it has counted.
 *
 * The set for one packet a request counts requests; the set for batches writes down each body's
 * length, which gives the packets since all are of one length. Health checks and our own readings
 * are requests too: they are counted apart and taken off.
 */

import { sleep, systemClock } from "../src/clock.ts";
import type { Child, Children } from "./children.ts";
import type { Ports } from "./ports.ts";
import { writeConfig } from "./template.ts";

const ANALYZERS = 4;
/** Until what the contender has sent last has been counted, and the log has been written. */
const SETTLE_TIMEOUT_MS = 5000;
const SETTLE_STEP_MS = 25;
/** On a busy machine a proxy may hold the last requests for a while, and the next run gets them. */
const QUIET_MS = 200;

/** A point in the sink's books. */
interface Mark {
  /** POSTs so far. */
  readonly posts: number;
  /** Length of the log of batches. */
  readonly logBytes: number;
}

/** What came in between two marks. */
export interface Arrivals {
  readonly posts: number;
  readonly packets: number;
  /** What cannot be: bodies of a wrong length, answers that were none. */
  readonly faults: readonly string[];
}

export class Sink {
  readonly child: Child;
  /** Four ports that take one packet a request, and four that take batches. */
  readonly ports: { readonly single: readonly number[]; readonly batched: readonly number[] };
  readonly #folder: string;
  readonly #statusUrl: string;
  #statusReads = 0;

  private constructor(
    child: Child,
    at: { folder: string; ports: Sink["ports"]; statusPort: number },
  ) {
    this.child = child;
    this.ports = at.ports;
    this.#folder = at.folder;
    this.#statusUrl = `http://127.0.0.1:${at.statusPort}/`;
  }

  static async start(
    children: Children,
    from: {
      nginx: string;
      ports: Ports;
      maxConnections: number;
      /** Analyzers that take batches. @default 4 */
      batched?: number;
      /** @default that of all children */
      folder?: string;
    },
  ): Promise<Sink> {
    const { folder = children.folder, batched = ANALYZERS } = from;
    const ports = { single: from.ports.list(ANALYZERS), batched: from.ports.list(batched) };
    const statusPort = from.ports.next();
    const config = writeConfig(folder, "sink", {
      template: "sink.conf",
      values: {
        folder,
        statusPort,
        maxConnections: from.maxConnections,
        singleListen: listen(ports.single),
        batchedListen: listen(ports.batched),
      },
    });
    const words = [from.nginx, "-p", folder, "-e", `${folder}/sink-error.log`, "-c", config];
    const child = children.start({ name: "sink", words });
    await children.untilListening(child, statusPort);
    return new Sink(child, { folder, ports, statusPort });
  }

  /** Where the books stand now. */
  async mark(): Promise<Mark> {
    const logBytes = Deno.statSync(`${this.#folder}/batches.log`).size;
    return { posts: await this.#countPosts(), logBytes };
  }

  /**
   * What came since a mark, once nothing more comes.
   *
   * @param packetBytes length of each packet as it is delivered
   */
  async since(mark: Mark, to: { kind: "single" | "batched"; packetBytes: number }): Promise<
    Arrivals
  > {
    const giveUpMs = systemClock.monotonicMs() + SETTLE_TIMEOUT_MS;
    let before = -1;
    let changedMs = 0;
    for (;;) {
      const posts = await this.#countPosts() - mark.posts;
      const lines = await this.#readLog(mark.logBytes);
      const logged = to.kind === "single" ? 0 : posts;
      const nowMs = systemClock.monotonicMs();
      if (posts !== before) changedMs = nowMs;
      if (nowMs - changedMs >= QUIET_MS && lines.length === logged) {
        if (to.kind === "single") return { posts, packets: posts, faults: [] };
        return { posts, ...countBatches(lines, to.packetBytes) };
      }
      if (nowMs > giveUpMs) {
        const faults = [`the sink took ${posts} requests and logged ${lines.length} batches`];
        return { posts, packets: 0, faults };
      }
      before = posts;
      await sleep(SETTLE_STEP_MS, systemClock);
    }
  }

  /** POSTs so far: all requests but the health checks and these readings. */
  async #countPosts(): Promise<number> {
    for (;;) {
      const checks = this.#countHealthChecks();
      const text = await (await fetch(this.#statusUrl)).text();
      this.#statusReads++;
      if (checks === this.#countHealthChecks()) {
        return parseRequests(text) - checks - this.#statusReads;
      }
    }
  }

  #countHealthChecks(): number {
    return Deno.statSync(`${this.#folder}/health.log`).size / "/health\n".length;
  }

  async #readLog(offset: number): Promise<string[]> {
    using file = await Deno.open(`${this.#folder}/batches.log`);
    await file.seek(offset, Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").slice(0, -1);
  }
}

/** The number of requests in the answer of stub_status. */
export function parseRequests(text: string): number {
  const match = /^ \d+ \d+ (\d+)/m.exec(text);
  if (!match) throw new Error(`Cannot read the sink's status: ${JSON.stringify(text)}`);
  return Number(match[1]);
}

/** A request's head is never shorter nor longer than this. */
const HEAD_BYTES = { min: 60, max: 1024 };

/**
 * Counts the packets in log lines of `STATUS REQUEST_LENGTH CONTENT_LENGTH`.
 *
 * A batch of n packets is n × (packetBytes + 1) long, each packet ending with a line break; a
 * packet alone is as long as it is. The request's whole length says that its body came complete.
 */
export function countBatches(
  lines: readonly string[],
  packetBytes: number,
): { packets: number; faults: string[] } {
  let packets = 0;
  const faults: string[] = [];
  for (const line of lines) {
    const [status, requestLength, length] = line.split(" ").map(Number) as [number, number, number];
    const headBytes = requestLength - length;
    const isWhole = headBytes >= HEAD_BYTES.min && headBytes <= HEAD_BYTES.max;
    const count = length === packetBytes ? 1 : length / (packetBytes + 1);
    if (status === 202 && isWhole && Number.isInteger(count)) packets += count;
    else faults.push(`the sink logged ${JSON.stringify(line)}, packets are ${packetBytes} bytes`);
  }
  return { packets, faults: faults.slice(0, 3) };
}

function listen(ports: readonly number[]): string {
  return ports.map((port) => `    listen 127.0.0.1:${port} backlog=4096;`).join("\n");
}
