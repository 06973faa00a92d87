/**
 * The whole system on free ports: a distributor, a fleet of mock analyzers, an agent.
 *
 * Everything between them goes over HTTP, as between separate programs; and where executables are
 * tested, the distributor is one.
 */

import { assertEquals } from "@std/assert";
import type { MockAnalyzerOptions } from "../../analyzers/mock_analyzer.ts";
import type { AnalyzerView } from "../../src/analyzer_view.ts";
import { systemClock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { startDistributor } from "../../src/distributor.ts";
import type { Log, LogFields } from "../../src/log.ts";
import type { MetricsView } from "../../src/metrics.ts";
import { systemRandom } from "../../src/random.ts";
import { Agent } from "./agent.ts";
import { assertBalanced, assertConserved } from "./conservation.ts";
import { TestFolder } from "./data_folder.ts";
import { eventually } from "./eventually.ts";
import { Fleet, type Seen } from "./fleet.ts";
import { threadsBeside, withFlowFlags } from "./flow_flags.ts";
import { DIST } from "./program.ts";
import { type LoggedEvent, startExecutable, type Subject } from "./subject.ts";

export { eventually } from "./eventually.ts";

export interface SystemOptions {
  /** One analyzer each: analyzer1, analyzer2, … @default none */
  readonly weights?: readonly number[];
  /** Flags of the distributor. @default none: its defaults */
  readonly flags?: readonly string[];
  /** How the mock analyzers are made. */
  readonly analyzers?: MockAnalyzerOptions;
  /** What its threads run instead of the program's own. */
  readonly threadModule?: URL;
}

/** Starts a distributor and its analyzers, and registers them. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const { weights = [], flags = [], analyzers, threadModule } = options;
  const subject = DIST ? await startExecutable(systemFlags(flags)) : undefined;
  const system = new System(flags, { subject, threadModule });
  await system.listens();
  for (const [i, weight] of weights.entries()) {
    await system.join(`analyzer${i + 1}`, weight, analyzers);
  }
  return system;
}

function systemFlags(flags: readonly string[]): string[] {
  return ["--http-addr=127.0.0.1:0", "--drain-timeout=2s", ...withFlowFlags(flags)];
}

export class System {
  readonly fleet = new Fleet();
  readonly folder = new TestFolder();
  readonly agent: Agent;
  /** Failures of the storage; a program would have ended. */
  readonly failures: Error[] = [];
  readonly #subject: Subject;
  readonly #threadsBeside: number;
  #stopped = false;

  constructor(
    flags: readonly string[],
    options: { subject?: Subject | undefined; threadModule?: URL | undefined } = {},
  ) {
    const args = [this.folder.flag, ...systemFlags(flags)];
    this.#threadsBeside = threadsBeside(args);
    this.#subject = options.subject ?? this.#startHere(args, options.threadModule);
    this.agent = new Agent(this.url);
  }

  #startHere(args: readonly string[], threadModule: URL | undefined): Subject {
    const config = readConfig({ args, env: () => undefined, readFile: () => undefined });
    const events: LoggedEvent[] = [];
    const log = recordingLog(events);
    const distributor = startDistributor(config, {
      clock: systemClock,
      random: systemRandom,
      log,
      onFailed: (error) => this.failures.push(error),
      ...(threadModule && { threadModule }),
    });
    return { url: distributor.url, events: () => events, drain: () => distributor.drain() };
  }

  /** What the distributor has logged. */
  get events(): readonly LoggedEvent[] {
    return this.#subject.events();
  }

  get url(): string {
    return this.#subject.url;
  }

  /** Waits until all its threads do. */
  async listens(): Promise<void> {
    await eventually(
      () =>
        this.events.filter(({ event }) => event === "thread listening").length >=
          this.#threadsBeside,
      { name: "all threads listen" },
    );
  }

  /** Starts an analyzer and registers it. */
  async join(id: string, weight: number, options: MockAnalyzerOptions = {}): Promise<void> {
    const { url } = await this.fleet.add(id, weight, options);
    assertEquals(await this.register({ id, url, weight }), 201);
  }

  async register(analyzer: { id: string; url: string; weight: number }): Promise<number> {
    return (await this.call("POST", "/api/v1/analyzers", analyzer)).status;
  }

  /** Calls the API with a JSON body. */
  // deno-lint-ignore no-explicit-any
  async call(method: string, path: string, body?: unknown): Promise<{ status: number; json: any }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return { status: response.status, json: await response.json() };
  }

  /** Reads the metrics, which must balance at every moment. */
  async metrics(): Promise<MetricsView> {
    const metrics = (await this.call("GET", "/api/v1/metrics")).json as MetricsView;
    assertBalanced(metrics);
    return metrics;
  }

  async analyzer(id: string): Promise<AnalyzerView> {
    return (await this.call("GET", `/api/v1/analyzers/${id}`)).json;
  }

  /** Waits until an analyzer is in a state. */
  async becomes(id: string, state: AnalyzerView["state"], timeoutMs = 15_000): Promise<void> {
    await eventually(async () => (await this.analyzer(id)).state === state, {
      name: `${id} is ${state}`,
      timeoutMs,
    });
  }

  /** Waits until nothing is queued and nothing in flight. */
  async settles(timeoutMs = 30_000): Promise<MetricsView> {
    return await eventually(async () => {
      const metrics = await this.metrics();
      return metrics.queued.packets + metrics.in_flight.packets === 0 && metrics;
    }, { name: "everything is settled", timeoutMs }) as MetricsView;
  }

  /** Ids of all dead letters. */
  async deadIds(): Promise<string[]> {
    const ids: string[] = [];
    for (;;) {
      const path = `/api/v1/dead-letters?limit=1000&offset=${ids.length}`;
      const { json } = await this.call("GET", path);
      for (const { packet_id } of json.dead_letters) ids.push(packet_id);
      if (json.dead_letters.length === 0) return ids;
    }
  }

  /**
   * Ends a flow test: every acknowledged packet is accounted for by id, and the books balance.
   *
   * @param options.queued packets that may be left in the queue; by default it must run empty
   * @param options.seen tells what analyzers outside the fleet have processed
   * @param options.deleted dead letters that were deleted
   */
  async conservation(
    options: { queued?: number; seen?: () => Seen; deleted?: readonly string[] } = {},
  ): Promise<void> {
    const { queued = 0, seen = () => new Map(), deleted = [] } = options;
    const metrics = queued === 0 ? await this.settles() : await this.metrics();
    const dead = [...await this.deadIds(), ...deleted];
    assertEquals(metrics.queued.packets, queued);
    assertConserved({
      agent: this.agent,
      seen: new Map([...this.fleet.seen(), ...seen()]),
      dead,
      queued,
    });
    if (this.agent.unanswered.size > 0) return;
    assertEquals(metrics.accepted.packets, this.agent.acknowledged.size);
    assertEquals(metrics.accepted.messages, this.agent.acknowledgedMessages);
    assertEquals(metrics.dead_lettered.packets, dead.length);
  }

  /** Stops the distributor, then the analyzers. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#subject.drain();
    await this.fleet.close();
    this.folder.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function recordingLog(events: LoggedEvent[]): Log {
  const record = (level: string) => (event: string, fields: LogFields = {}) => {
    events.push({ level, event, fields });
  };
  return {
    debug: record("debug"),
    info: record("info"),
    warn: record("warn"),
    error: record("error"),
    end: () => Promise.resolve(),
  };
}
