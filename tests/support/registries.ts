/** A registry by itself: its clock, its chance, and what happens to its analyzers. */

import type { Analyzer, AnalyzerConfig } from "../../src/analyzer.ts";
import { DEFAULT_HEALTH } from "../../src/health.ts";
import type { Log, LogFields } from "../../src/log.ts";
import type { Outcome } from "../../src/outcome.ts";
import { type Packet, sealPacket } from "../../src/packet.ts";
import { type Random, seededRandom } from "../../src/random.ts";
import { Registry } from "../../src/registry.ts";
import { FakeClock } from "./fake_clock.ts";

export const MAX_LOAD = 4;
export const REFUSED: Failed = { kind: "retriable", failure: "connect", detail: "refused" };
export const BROKEN: Failed = {
  kind: "retriable",
  failure: "http_5xx",
  status: 500,
  detail: "HTTP 500",
};

export type Failed = Exclude<Outcome, { kind: "delivered" }>;

/** A registry with its clock, and what it tells the outside. */
export class Setup {
  readonly clock = new FakeClock({ monotonicMs: 50_000 });
  readonly random: Random;
  readonly events: string[] = [];
  readonly withdrawn: string[] = [];
  readonly registry: Registry;
  #packets = 0;

  constructor(ids = "", { seed = 1, slowStartMs = DEFAULT_HEALTH.slowStartMs } = {}) {
    this.random = seededRandom(seed);
    const note = (event: string, fields?: LogFields) => {
      this.events.push(`${event} ${fields?.id}`);
    };
    const log: Log = {
      debug() {},
      info: note,
      warn: note,
      error: note,
      end: () => Promise.resolve(),
    };
    this.registry = new Registry({
      health: { ...DEFAULT_HEALTH, jitter: 0, slowStartMs },
      maxLoad: ({ health, batches }) =>
        health.state === "probation" ? 1 : batches ? 10 * MAX_LOAD : MAX_LOAD,
    }, { clock: this.clock, random: this.random, log });
    this.registry.onWithdrawn(({ id }) => this.withdrawn.push(id));
    for (const id of ids) this.registry.put(configOf(id));
  }

  get(id: string): Analyzer {
    return this.registry.get(id)!;
  }

  packet(messages = 1, tried: string[] = []): Packet {
    const id = `packet-${this.#packets++}`;
    const shape = { messages, packetId: id, closeAt: 0, multiline: false };
    const options = { receivedAt: "", acceptedAtMs: 0, newId: () => id };
    return { ...sealPacket(new Uint8Array(1), shape, options), tried };
  }

  /** Draws and gives back at once; `count` ids in the order drawn. */
  drawn(count: number): (string | undefined)[] {
    return Array.from({ length: count }, () => {
      const analyzer = this.registry.draw(this.packet());
      if (analyzer) this.registry.release(analyzer);
      return analyzer?.id;
    });
  }

  fail(id: string | Analyzer, outcome: Failed, options: { times?: number; packet?: Packet } = {}) {
    const analyzer = typeof id === "string" ? this.get(id) : id;
    for (let i = options.times ?? 1; i > 0; i--) {
      this.registry.failed(analyzer, outcome, {
        packet: options.packet ?? this.packet(),
        startedMs: this.clock.monotonicMs(),
        undecided: false,
      });
    }
  }

  deliver(id: string, messages = 1, times = 1): void {
    while (times-- > 0) {
      this.registry.delivered(this.get(id), {
        packets: 1,
        messages,
        startedMs: this.clock.monotonicMs(),
        latencyMs: 5,
      });
    }
  }

  probe(id: string, ok: boolean, options: { times?: number; batches?: boolean } = {}): void {
    for (let i = options.times ?? 1; i > 0; i--) {
      const batches = options.batches ?? false;
      this.registry.probed(this.get(id), { ok, detail: "HTTP 503", batches });
    }
  }

  /** From ejected to probation. */
  readmit(id: string): void {
    this.clock.advance(this.get(id).health.ejectedUntilMs - this.clock.monotonicMs());
    this.probe(id, true, { times: 2 });
  }

  view(id: string) {
    return this.registry.views().find((view) => view.id === id)!;
  }
}

export function configOf(id: string, change: Partial<AnalyzerConfig> = {}): AnalyzerConfig {
  return { id, url: `http://${id}.test`, weight: 1, ...change };
}

export function count(ids: (string | undefined)[], id: string): number {
  return ids.filter((drawn) => drawn === id).length;
}
