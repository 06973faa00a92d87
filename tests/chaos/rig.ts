/**
 * A distributor as a child process, analyzers that bear witness, proxies between, and a driver.
 *
 * Whatever befalls them, `finish()` mends all, waits until everything is settled, and holds the
 * records against the laws.
 */

import type { MetricsView } from "../../src/metrics.ts";
import { eventually } from "../support/eventually.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { openDescriptors, residentBytes } from "../support/proc.ts";
import { type Program, startProgram } from "../support/program.ts";
import { Driver } from "./driver.ts";
import {
  broken,
  checkBooks,
  checkDuplicates,
  checkLife,
  checkLoss,
  checkOrigin,
  checkUsage,
  countDuplicates,
  findLost,
  type Violation,
} from "./oracle.ts";
import {
  DEFAULT_QUEUE_BYTES,
  distributorFlags,
  type FinishOptions,
  type LaunchOptions,
  makeDataDir,
  MAX_BATCH,
  MIB,
  type RigOptions,
} from "./rig_options.ts";
import type { Finding, Trial } from "./trial.ts";
import { takenBy, Witness } from "./witness.ts";

const BASE_BYTES = 256 * MIB;
const WATCH_MS = 250;
const ANSWER_MS = 5000;
/** Connections that probes and lanes may open to each analyzer while nothing is sent. */
const KEPT_PER_ANALYZER = 8;
/** Packets under way to one analyzer at most, and settled together at most. */
const IN_FLIGHT_PER_ANALYZER = 64;
const SETTLED_TOGETHER = 256;

/** Programs of rigs whose trial has not ended, perhaps never will. */
const running = new Set<Program>();

/** Ends what trials that did not end have left behind. */
export async function endAll(): Promise<void> {
  for (const program of running) await program[Symbol.asyncDispose]();
}

export class Rig {
  readonly driver: Driver;
  readonly witnesses: Witness[];
  readonly proxies: FaultProxy[];
  readonly dataDir: string;
  readonly queueBytes: number;
  readonly violations: Violation[] = [];
  program: Program | undefined;
  url = "http://127.0.0.1:9";
  peakBytes = 0;
  firstLaunchMs = 0;
  readonly #trial: Trial;
  readonly #options: RigOptions;
  #kills = 0;
  #descriptors = 0;
  #isUp = false;
  #isAsking = false;
  readonly #timer = setInterval(() => this.#watch(), WATCH_MS);

  private constructor(
    trial: Trial,
    { options, witnesses, proxies, dataDir }: {
      options: RigOptions;
      witnesses: Witness[];
      proxies: FaultProxy[];
      dataDir: string;
    },
  ) {
    this.#trial = trial;
    this.#options = options;
    this.queueBytes = options.queueBytes ?? DEFAULT_QUEUE_BYTES;
    this.witnesses = witnesses;
    this.proxies = proxies;
    this.dataDir = dataDir;
    this.driver = new Driver({ url: () => this.url });
  }

  /** Builds everything; the distributor is not started. */
  static async build(trial: Trial, options: RigOptions = {}): Promise<Rig> {
    const witnesses = (options.weights ?? [4, 3, 2, 1]).map((weight, i) =>
      new Witness({ id: `w${i + 1}`, weight, batches: options.batches ?? true })
    );
    const proxies = await Promise.all(witnesses.map(({ port }) => FaultProxy.start(port)));
    const dataDir = options.dataDir ?? await makeDataDir();
    return new Rig(trial, { options, witnesses, proxies, dataDir });
  }

  /** Builds everything and starts the distributor. */
  static async start(trial: Trial, options: RigOptions = {}): Promise<Rig> {
    const rig = await Rig.build(trial, options);
    await rig.launch();
    return rig;
  }

  /** Starts the distributor and registers the analyzers; resolves to the time until it was ready. */
  async launch(launch: LaunchOptions = {}): Promise<number> {
    const startedMs = performance.now();
    const { program } = this.spawn(launch);
    this.url = await program.url();
    const { answers = "/readyz" } = launch;
    await eventually(async () => (await this.get(answers)).ok, { name: `it answers ${answers}` });
    const tookMs = performance.now() - startedMs;
    this.firstLaunchMs ||= tookMs;
    for (const [i, { id, weight }] of this.witnesses.entries()) {
      await this.register({ id, weight, url: this.proxies[i]!.url });
    }
    if (this.#descriptors === 0) this.#descriptors = openDescriptors(program.pid);
    this.#isUp = true;
    return tookMs;
  }

  /** Starts the distributor without waiting for it. */
  spawn({ env = {}, wrap = [] }: LaunchOptions = {}): { program: Program } {
    const { descriptors = 0 } = this.#options;
    const flags = distributorFlags(this.#trial, { options: this.#options, dataDir: this.dataDir });
    const program = this.program = startProgram("distributor", flags, { env, wrap, descriptors });
    running.add(program);
    void program.exits().then(() => running.delete(program));
    return { program };
  }

  /** Adds an analyzer while the distributor runs. */
  async join({ weight }: { weight: number }): Promise<void> {
    const witness = new Witness({ id: `w${this.witnesses.length + 1}`, weight });
    this.witnesses.push(witness);
    const proxy = await FaultProxy.start(witness.port);
    this.proxies.push(proxy);
    await this.register({ id: witness.id, weight, url: proxy.url });
  }

  async register(analyzer: { id: string; weight: number; url: string }): Promise<void> {
    const response = await fetch(`${this.url}/api/v1/analyzers`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(analyzer),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`Cannot register ${analyzer.id}: ${response.status}`);
  }

  /** Ends the distributor with SIGKILL; its end is waited for. */
  async kill(): Promise<void> {
    this.#isUp = false;
    this.#kills++;
    this.program?.signal("SIGKILL");
    await this.program?.exits();
  }

  /** Ends it with SIGTERM; resolves to its exit code and how long that took. */
  async terminate(): Promise<{ code: number; tookMs: number }> {
    this.#isUp = false;
    this.program?.signal("SIGTERM");
    return await this.program!.exits();
  }

  /** From now on it may be gone without that being a fault. */
  expectEnd(): void {
    this.#isUp = false;
    this.#kills++;
  }

  /** Asks the distributor; each time on a connection of its own. */
  async get(path: string): Promise<Response> {
    const response = await fetch(`${this.url}${path}`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return new Response(await response.text(), { status: response.status });
  }

  /** Reads the metrics, whose books must balance. */
  async metrics(): Promise<MetricsView> {
    const metrics: MetricsView = await (await this.get("/api/v1/metrics")).json();
    this.violations.push(...checkBooks(metrics));
    return metrics;
  }

  /** Turns all proxies to no fault. */
  async mend(): Promise<void> {
    for (const proxy of this.proxies) await proxy.set({ kind: "none" });
    for (const witness of this.witnesses) {
      witness.answer = () => undefined;
      witness.answerHealth = () => undefined;
    }
  }

  /** Waits until nothing is queued nor in flight; resolves to how long that took. */
  async settles(timeoutMs = 30_000): Promise<number> {
    const startedMs = performance.now();
    await eventually(async () => {
      const { queued, in_flight } = await this.metrics();
      return queued.packets + in_flight.packets === 0;
    }, { name: "everything is settled", timeoutMs, everyMs: 50 });
    return performance.now() - startedMs;
  }

  /** Ids of all dead letters. */
  async deadIds(): Promise<Set<string>> {
    const ids = new Set<string>();
    for (let offset = 0;;) {
      const answer = await this.get(`/api/v1/dead-letters?limit=1000&offset=${offset}`);
      const { dead_letters } = await answer.json();
      for (const { packet_id } of dead_letters) ids.add(packet_id);
      offset += dead_letters.length;
      if (dead_letters.length === 0) return ids;
    }
  }

  /** Mends all, waits until everything is settled, and judges. */
  async finish(options: FinishOptions = {}): Promise<Finding> {
    const { settleMs = 30_000, recoveryMs = 0, moreDuplicates = 0, noDead = false } = options;
    await this.driver.stop();
    await this.mend();
    let dead = new Set<string>();
    const allowed = moreDuplicates + this.#ambiguous();
    if (!options.isOver) {
      const fault = await this.settles(settleMs).then(() => undefined, (error) => error.message);
      this.violations.push(...checkLife(fault));
      if (!fault) dead = await this.deadIds();
      this.driver.disconnect();
      await this.#checkUsage();
    }
    const { attempted, acknowledged } = this.driver;
    const delivered = takenBy(this.witnesses);
    const records = { attempted, acknowledged, delivered, dead, queued: new Set<string>() };
    const changed = this.witnesses.flatMap((witness) => witness.changed);
    this.violations.push(
      ...checkLoss(records),
      ...checkOrigin(records, changed),
      ...checkDuplicates(delivered, allowed),
      ...broken("I1", noDead && dead.size > 0, `${dead.size} dead letters where none may be`),
    );
    return {
      acknowledged: acknowledged.size,
      lost: findLost(records).length,
      duplicates: countDuplicates(delivered),
      recoveryMs,
      violations: this.violations,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#isUp = false;
    await this.program?.[Symbol.asyncDispose]();
    await this.driver[Symbol.asyncDispose]();
    for (const proxy of this.proxies) proxy[Symbol.dispose]();
    for (const witness of this.witnesses) await witness[Symbol.asyncDispose]();
    if (!this.#options.dataDir) await Deno.remove(this.dataDir, { recursive: true });
  }

  /** Repeats that at-least-once allows: what was under way when something was cut. */
  #ambiguous(): number {
    const perKill = this.witnesses.length * IN_FLIGHT_PER_ANALYZER + SETTLED_TOGETHER;
    const struck = this.proxies.reduce((sum, proxy) => sum + proxy.struck, 0);
    return this.#kills * perKill + struck * MAX_BATCH;
  }

  async #checkUsage(): Promise<void> {
    const allowedDescriptors = this.#descriptors + this.proxies.length * KEPT_PER_ANALYZER;
    const { pid } = this.program!;
    // What is kept for later packets is no leak.
    for (const proxy of this.proxies) proxy.cut();
    await eventually(() => openDescriptors(pid) <= allowedDescriptors, {
      name: "descriptors are back",
    }).catch(() => undefined);
    this.violations.push(...checkUsage({
      peakBytes: this.peakBytes,
      allowedBytes: BASE_BYTES + this.queueBytes,
      descriptors: openDescriptors(pid),
      allowedDescriptors,
    }));
  }

  #watch(): void {
    if (!this.program) return;
    this.peakBytes = Math.max(this.peakBytes, residentBytes(this.program.pid));
    if (!this.#isUp || this.#isAsking || this.#options.watch === false) return;
    this.#isAsking = true;
    const { pid } = this.program;
    this.metrics().catch((error) => {
      const isSame = this.#isUp && this.program?.pid === pid;
      if (isSame) this.violations.push(...checkLife(`no metrics: ${error.message}`));
    }).finally(() => this.#isAsking = false);
  }
}
