/** The parts of the bench, one after the other; each starts what it needs. */

import type { Children } from "./children.ts";
import {
  type Contender,
  type ContenderName,
  type ContenderOptions,
  startContender,
} from "./contenders.ts";
import { measureDraws } from "./draws.ts";
import { type LatencyResult, measureCapacity, measureLatency } from "./latency.ts";
import type { Tools } from "./machine.ts";
import { measureMemory } from "./memory.ts";
import { type Settings, wants } from "./options.ts";
import { Ports } from "./ports.ts";
import type { Results } from "./report.ts";
import { spreadOf } from "./rounds.ts";
import type { Field, RunResult } from "./run.ts";
import { measureShares, type ShareResult, startAnalyzers } from "./shares.ts";
import { measureScale, SCALE_ANALYZERS, type ScaleResult } from "./scale.ts";
import { Sink } from "./sink.ts";
import { measureThreads, type Threaded, type ThreadsResult } from "./threads.ts";
import { measureThroughput, type Plan } from "./throughput.ts";

const QUICK_ROUNDS = 3;
const SIZES = [1, 10, 100];
const CONNECTIONS = [64, 512];

/** What all parts share. */
export interface Ground {
  readonly tools: Tools;
  readonly maxConnections: number;
  readonly children: Children;
  readonly signal: AbortSignal;
  /** Says what goes on. */
  readonly note: (line: string) => void;
}

/** Measures what was asked for, into `results`. */
export async function measureAll(
  results: Results,
  settings: Settings,
  ground: Ground,
): Promise<void> {
  const options: ContenderOptions = {
    tools: ground.tools,
    ports: new Ports(),
    maxConnections: ground.maxConnections,
    bin: settings.bin,
    durability: settings.durability,
    distributorArgs: settings.distributorArgs.split(/\s+/).filter(Boolean),
  };
  const stage = new Stage(ground, options);
  if (wants(settings, "draw")) results.draw = measureDraws();
  if (wants(settings, "throughput")) {
    results.throughput = await stage.throughput(planOf(settings), settings.quick);
  }
  if (wants(settings, "latency")) results.latency = await stage.latency(results.throughput ?? []);
  if (wants(settings, "memory")) {
    ground.note("memory");
    results.memory = await stage.memory(Math.round(settings.memoryTime / 1000));
  }
  if (wants(settings, "shares")) results.shares = await stage.shares();
  if (wants(settings, "threads")) results.threads = await stage.threads(planOf(settings));
  if (wants(settings, "scale")) results.scale = await stage.scale();
}

/** What the settings ask of the throughput part. */
export function planOf({ quick, rounds, runTime }: Settings): Plan {
  const seconds = Math.round(runTime / 1000);
  return {
    sizes: quick ? [10] : SIZES,
    connections: CONNECTIONS,
    rounds: quick ? QUICK_ROUNDS : rounds,
    seconds,
  };
}

/** The sink, and the contenders in front of it, once they are needed. */
class Stage {
  readonly #ground: Ground;
  readonly #options: ContenderOptions;
  readonly #contenders = new Map<ContenderName, Contender>();
  #sink: Sink | undefined;

  constructor(ground: Ground, options: ContenderOptions) {
    this.#ground = ground;
    this.#options = options;
  }

  async throughput(plan: Plan, quick: boolean): Promise<RunResult[]> {
    const contenders = await this.#all(
      quick ? ["batched", "haproxy", "nginx"] : ["batched", "single", "haproxy", "nginx"],
    );
    const { children, note } = this.#ground;
    const field = await this.#field();
    return await measureThroughput(contenders, plan, { field, folder: children.folder, note });
  }

  /** @param known runs that tell HAProxy's capacity; without any it is measured */
  async latency(known: readonly RunResult[]): Promise<LatencyResult[]> {
    const contenders = await this.#all(["batched", "single", "haproxy", "nginx"]);
    const haproxy = contenders.find(({ name }) => name === "haproxy")!;
    const { signal, note, children } = this.#ground;
    const results: LatencyResult[] = [];
    for (const messages of SIZES) {
      note(`latency: packets of ${messages}`);
      const rates = known.filter((run) =>
        run.contender === "haproxy" && run.messages === messages && run.connections === 64
      ).map(({ rate }) => rate);
      const capacity = rates.length > 0
        ? spreadOf(rates).median
        : await measureCapacity(haproxy, messages, {
          field: await this.#field(),
          folder: children.folder,
        });
      results.push(...await measureLatency(contenders, { messages, capacity }, signal));
    }
    return results;
  }

  /** With a distributor of its own: what others did to it would show. */
  async memory(seconds: number) {
    const { children } = this.#ground;
    const field = await this.#field();
    const ports = field.sink.ports.batched;
    const fresh = await startContender("batched", ports, { children, options: this.#options });
    try {
      return await measureMemory(fresh, seconds, { field, folder: children.folder });
    } finally {
      await fresh.child.stop();
    }
  }

  async shares(): Promise<ShareResult[]> {
    const { children, signal, note } = this.#ground;
    const analyzers = await startAnalyzers();
    const ports = analyzers.map(({ url }) => Number(new URL(url).port));
    const results: ShareResult[] = [];
    try {
      for (const name of ["batched", "haproxy", "nginx"] as const) {
        note(`shares: ${name}`);
        const contender = await startContender(name, ports, { children, options: this.#options });
        results.push(await measureShares(contender, analyzers, signal));
        await contender.child.stop();
      }
    } finally {
      for (const analyzer of analyzers) await analyzer.close();
    }
    return results;
  }

  /** With one thread and with two, side by side. */
  async threads(plan: Plan): Promise<ThreadsResult[]> {
    const { children, note } = this.#ground;
    const field = await this.#field();
    const contenders: Threaded[] = [];
    for (const threads of [1, 2]) {
      const flags = [`--threads=${threads}`];
      const contender = await this.#distributor(flags, field.sink.ports.batched);
      contenders.push({ threads, contender });
    }
    try {
      return await measureThreads(contenders, plan, { field, folder: children.folder, note });
    } finally {
      for (const { contender } of contenders) await contender.child.stop();
    }
  }

  /** With a sink of its own, and distributors that are told of its analyzers one by one. */
  async scale(): Promise<ScaleResult> {
    const { tools, children, maxConnections, signal, note } = this.#ground;
    const folder = `${children.folder}/scale`;
    Deno.mkdirSync(folder);
    Deno.chmodSync(folder, 0o755);
    const sink = await Sink.start(children, {
      nginx: tools.nginx,
      ports: this.#options.ports,
      maxConnections: 4 * maxConnections,
      batched: SCALE_ANALYZERS,
      folder,
    });
    const start = (flags: readonly string[]) => this.#distributor(flags, []);
    const field = { sink, wrk: tools.wrk, signal };
    return await measureScale({ start, field, folder, note });
  }

  /** A distributor of its own, with more flags. */
  #distributor(flags: readonly string[], analyzers: readonly number[]): Promise<Contender> {
    const distributorArgs = [...this.#options.distributorArgs, ...flags];
    return startContender("batched", analyzers, {
      children: this.#ground.children,
      options: { ...this.#options, distributorArgs },
    });
  }

  async #all(names: readonly ContenderName[]): Promise<Contender[]> {
    const { sink } = await this.#field();
    const contenders: Contender[] = [];
    for (const name of names) {
      const ports = sink.ports[name === "batched" ? "batched" : "single"];
      const contender = this.#contenders.get(name) ??
        await startContender(name, ports, {
          children: this.#ground.children,
          options: this.#options,
        });
      this.#contenders.set(name, contender);
      contenders.push(contender);
    }
    return contenders;
  }

  async #field(): Promise<Field> {
    const { tools, children, maxConnections, signal } = this.#ground;
    this.#sink ??= await Sink.start(children, {
      nginx: tools.nginx,
      ports: this.#options.ports,
      maxConnections: 4 * maxConnections,
    });
    return { sink: this.#sink, wrk: tools.wrk, signal };
  }
}
