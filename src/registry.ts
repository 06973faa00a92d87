/**
 * Sole owner of the analyzers: who there is, how they are, who takes part in the lottery.
 *
 * Workers draw and report here, probes report here, admin changes and reads here. Always true: an
 * analyzer has a weight in the lottery exactly while it is available, and is suspended in it
 * exactly while it is full.
 */

import { Analyzer, type AnalyzerConfig, AnalyzerRecord } from "./analyzer.ts";
import {
  type AnalyzerGlance,
  type AnalyzerView,
  glanceAtAnalyzer,
  sumUp,
  viewAnalyzer,
} from "./analyzer_view.ts";
import type { Cancel, Clock } from "./clock.ts";
import { Health, type HealthOptions, type Transition } from "./health.ts";
import type { Log } from "./log.ts";
import { Lottery } from "./lottery.ts";
import { type FailedOutcome, isBusyStatus } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { Ramp } from "./ramp.ts";
import type { Random } from "./random.ts";

/** Analyzers there may be at once. */
export const MAX_ANALYZERS = 1000;
/** Of those that are not paused or down, the part that may be out for its answers. */
const MAX_SERVER_EJECTED = 0.5;

/** Who has asked for a change: for the log. */
export type Source = "api" | "config file";

/** An analyzer as it was left before a restart. */
export interface RestoredAnalyzer extends AnalyzerConfig {
  readonly paused: boolean;
}

export interface RegistryOptions {
  readonly health: HealthOptions;
  /** Packets one analyzer may be drawn for and not have settled. */
  readonly maxLoad: (analyzer: Analyzer) => number;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #analyzers = new Map<string, Analyzer>();
  readonly #byEntry: (Analyzer | undefined)[] = [];
  readonly #lottery = new Lottery();
  readonly #withdrawnListeners: ((analyzer: Analyzer) => void)[] = [];
  readonly #changeListeners: ((analyzer: Analyzer) => void)[] = [];
  #eligibleAgain = Promise.withResolvers<void>();
  readonly #ramp: Ramp;
  readonly #restTimers = new Set<Cancel>();
  #closed = false;
  /** At the start nobody has been missed yet. */
  #toldAvailable = true;

  constructor(options: RegistryOptions, doors: { clock: Clock; random: Random; log: Log }) {
    this.#options = options;
    this.#clock = doors.clock;
    this.#random = doors.random;
    this.#log = doors.log;
    this.#ramp = new Ramp({
      ...doors,
      analyzers: () => this.analyzers,
      renew: (analyzer) => this.#renew(analyzer),
    });
  }

  /** All analyzers, in order of registration. */
  get analyzers(): Iterable<Analyzer> {
    return this.#analyzers.values();
  }

  get size(): number {
    return this.#analyzers.size;
  }

  /** Whether anything may be sent to any of them at all. */
  get isAnyAvailable(): boolean {
    return this.#analyzers.values().some(({ available }) => available);
  }

  get(id: string): Analyzer | undefined {
    return this.#analyzers.get(id);
  }

  /** Hears of each analyzer that must give back what waits for it. */
  onWithdrawn(listener: (analyzer: Analyzer) => void): void {
    this.#withdrawnListeners.push(listener);
  }

  /** Hears of each analyzer that came, went or changed in health, after it. */
  onChange(listener: (analyzer: Analyzer) => void): void {
    this.#changeListeners.push(listener);
  }

  /** Takes in the analyzers of before a restart: for them nothing changes, nor is it told. */
  restore(analyzers: readonly RestoredAnalyzer[]): void {
    for (const analyzer of analyzers) this.#add(analyzer);
    if (analyzers.length > 0) this.#tellAvailability();
  }

  /** Registers an analyzer, or updates the one of that id. Eligible at once. */
  put(
    config: AnalyzerConfig,
    { source = "api" }: { source?: Source } = {},
  ): "created" | "updated" {
    const known = this.#analyzers.get(config.id);
    if (known) {
      if (known.url !== config.url) this.#replace(known, { config, source });
      else this.update(known, { weight: config.weight, source });
      return "updated";
    }
    this.#log.info("analyzer registered", { ...config, source });
    this.#add(config);
    this.#tellAvailability();
    return "created";
  }

  /** Changes weight or pause; takes effect on the next draw. */
  update(
    analyzer: Analyzer,
    change: { weight?: number; paused?: boolean; source?: Source },
  ): void {
    const { weight = analyzer.weight, paused = analyzer.paused, source = "api" } = change;
    if (weight === analyzer.weight && paused === analyzer.paused) return;
    const { id } = analyzer;
    if (weight !== analyzer.weight) {
      this.#log.info("analyzer weight changed", { id, from: analyzer.weight, to: weight, source });
      analyzer.weight = weight;
    }
    if (paused !== analyzer.paused) {
      this.#log.info(paused ? "analyzer paused" : "analyzer resumed", { id, source });
      analyzer.pausedSinceMs = paused ? this.#clock.monotonicMs() : NaN;
    }
    this.#renew(analyzer);
    if (paused) this.#withdraw(analyzer);
    this.#changed(analyzer);
  }

  /** Removes an analyzer; what is in flight to it is still settled. False when unknown. */
  remove(id: string, { source = "api" }: { source?: Source } = {}): boolean {
    const analyzer = this.#analyzers.get(id);
    if (!analyzer) return false;
    const { url, weight } = analyzer;
    this.#log.info("analyzer removed", { id, url, weight, source });
    this.#drop(analyzer);
    this.#tellAvailability();
    return true;
  }

  /**
   * Draws the analyzer for a packet and counts the packet towards its load.
   *
   * @returns undefined when none is eligible
   */
  draw(packet: Packet): Analyzer | undefined {
    const { tried } = packet;
    const avoid = tried.length === 0 ? undefined : this.#entriesOf(tried);
    const entry = this.#lottery.draw(packet.messages, this.#random, avoid);
    const analyzer = entry < 0 ? undefined : this.#byEntry[entry];
    if (analyzer === undefined) return undefined;
    if (++analyzer.load >= this.#options.maxLoad(analyzer)) this.#renew(analyzer);
    return analyzer;
  }

  /** Whether there is any other analyzer, whatever its state, that may think otherwise. */
  hasOther(analyzer: Analyzer): boolean {
    return this.size > (analyzer.removed ? 0 : 1);
  }

  /** Ends a packet's claim on an analyzer: settled, or given back. */
  release(analyzer: Analyzer, packets = 1): void {
    analyzer.load -= packets;
    if (Number.isNaN(analyzer.fullSinceMs)) return;
    if (analyzer.load < this.#options.maxLoad(analyzer)) this.#renew(analyzer);
  }

  /** Resolves when an analyzer becomes eligible. */
  eligibleAgain(): Promise<void> {
    return this.#eligibleAgain.promise;
  }

  /** An attempt succeeded. */
  delivered(
    analyzer: Analyzer,
    done: { packets: number; messages: number; startedMs: number; latencyMs: number },
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const { record } = analyzer;
    record.successes++;
    record.successMs += done.latencyMs;
    record.delivered.packets += done.packets;
    record.delivered.messages += done.messages;
    record.recentMessages.add(done.messages, nowMs);
    record.latency.record(done.latencyMs, nowMs);
    this.#moved(analyzer, analyzer.health.succeed(done.startedMs, nowMs));
  }

  /** An attempt failed. While it is `undecided` which packet is at fault, health hears nothing. */
  failed(
    analyzer: Analyzer,
    outcome: FailedOutcome,
    attempt: { packet: Packet; startedMs: number; undecided: boolean },
  ): void {
    analyzer.record.failures[outcome.failure]++;
    this.#log.debug("request failed", {
      id: analyzer.id,
      reason: outcome.detail,
      packet_id: attempt.packet.id,
      attempt: attempt.packet.attempts + 1,
    });
    if (outcome.kind === "retriable" && outcome.retryAfterMs) {
      return this.#rest(analyzer, outcome.retryAfterMs);
    }
    if (attempt.undecided || outcome.kind === "rejected" || isBusyStatus(outcome.status)) return;
    const transition = analyzer.health.fail({
      class: outcome.failure,
      detail: outcome.detail,
      packetId: attempt.packet.id,
      gone: outcome.failure === "connect" || outcome.gone === true,
      startedMs: attempt.startedMs,
      suspectPacket: attempt.packet.attempts > 0 &&
        attempt.packet.tried.some((id) => id !== analyzer.id),
      mayEject: this.#mayEjectForAnswers(),
    }, this.#clock.monotonicMs());
    this.#moved(analyzer, transition);
  }

  /** A probe came back. */
  probed(analyzer: Analyzer, verdict: { ok: boolean; detail: string; batches: boolean }): void {
    if (analyzer.removed) return;
    const nowMs = this.#clock.monotonicMs();
    analyzer.record.probes[verdict.ok ? "passed" : "failed"]++;
    if (!verdict.ok) {
      this.#log.debug("health check failed", { id: analyzer.id, reason: verdict.detail });
    }
    if (verdict.ok && analyzer.batches !== verdict.batches) {
      analyzer.batches = verdict.batches;
      this.#renew(analyzer);
    }
    const transition = verdict.ok
      ? analyzer.health.probeSucceeded(nowMs)
      : analyzer.health.probeFailed(verdict.detail, nowMs);
    this.#moved(analyzer, transition);
  }

  /** How each analyzer stands now. */
  views(): AnalyzerView[] {
    const totals = sumUp(this.#analyzers.values(), this.#clock.monotonicMs());
    return [...this.#analyzers.values()].map((analyzer) => viewAnalyzer(analyzer, totals));
  }

  /** The same without their latencies: for those who ask often. */
  glances(): AnalyzerGlance[] {
    const totals = sumUp(this.#analyzers.values(), this.#clock.monotonicMs());
    return [...this.#analyzers.values()].map((analyzer) => glanceAtAnalyzer(analyzer, totals));
  }

  /** How one analyzer stands now; undefined when there is none of that id. */
  view(id: string): AnalyzerView | undefined {
    const analyzer = this.#analyzers.get(id);
    if (!analyzer) return undefined;
    return viewAnalyzer(analyzer, sumUp(this.#analyzers.values(), this.#clock.monotonicMs()));
  }

  /** Stops the registry's own timer. */
  close(): void {
    this.#closed = true;
    this.#ramp.close();
    for (const cancel of this.#restTimers) cancel();
    this.#eligibleAgain.resolve();
  }

  /** The lottery's entries of the analyzers that are still there. */
  #entriesOf(ids: readonly string[]): number[] {
    return ids.flatMap((id) => this.#analyzers.get(id)?.entry ?? []);
  }

  /** Leaves an analyzer alone for as long as it has asked; what waits for it goes elsewhere. */
  #rest(analyzer: Analyzer, durationMs: number): void {
    if (analyzer.rest || analyzer.removed || this.#closed) return;
    const { id } = analyzer;
    analyzer.rest = { sinceMs: this.#clock.monotonicMs(), durationMs };
    this.#log.info("analyzer asked for a pause", { id, seconds: durationMs / 1000 });
    this.#renew(analyzer);
    this.#withdraw(analyzer);
    const cancel = this.#clock.after(durationMs, () => {
      this.#restTimers.delete(cancel);
      analyzer.rest = undefined;
      if (!analyzer.removed) this.#log.info("analyzer's pause is over", { id });
      this.#renew(analyzer);
      this.#tellAvailability();
    });
    this.#restTimers.add(cancel);
    this.#tellAvailability();
  }

  #add(config: AnalyzerConfig & { paused?: boolean }, record = new AnalyzerRecord()): void {
    const free = this.#byEntry.indexOf(undefined);
    const entry = free < 0 ? this.#byEntry.length : free;
    const nowMs = this.#clock.monotonicMs();
    const health = new Health(this.#options.health, { random: this.#random, nowMs });
    const analyzer = new Analyzer(config, { entry, health, record });
    if (config.paused) analyzer.pausedSinceMs = nowMs;
    this.#byEntry[entry] = analyzer;
    this.#analyzers.set(config.id, analyzer);
    this.#renew(analyzer);
    this.#notify(analyzer);
  }

  #drop(analyzer: Analyzer): void {
    analyzer.removed = true;
    this.#ramp.forget(analyzer);
    this.#analyzers.delete(analyzer.id);
    this.#renew(analyzer);
    this.#byEntry[analyzer.entry] = undefined;
    this.#withdraw(analyzer);
    this.#notify(analyzer);
  }

  /** Another URL is another server: it starts with a clean health, and keeps its record. */
  #replace(
    known: Analyzer,
    { config, source }: { config: AnalyzerConfig; source: Source },
  ): void {
    const { id, url, weight } = config;
    this.#log.info("analyzer moved", { id, from: known.url, to: url, weight, source });
    this.#drop(known);
    this.#add({ ...config, paused: known.paused }, known.record);
    this.#tellAvailability();
  }

  #moved(analyzer: Analyzer, transition: Transition | undefined): void {
    if (!transition || analyzer.removed) return;
    const { from, to, reason } = transition;
    if (to === "ejected") analyzer.record.ejections++;
    this.#log[to === "ejected" ? "warn" : "info"](`analyzer ${to}`, {
      id: analyzer.id,
      from,
      to,
      reason,
    });
    this.#renew(analyzer);
    if (to === "ejected") this.#withdraw(analyzer);
    if (to === "healthy") this.#ramp.follow();
    this.#changed(analyzer);
  }

  /** Sets an analyzer's weight in the lottery to what it should be now. */
  #renew(analyzer: Analyzer): void {
    // What was removed may still have packets in flight, and another in its place.
    if (this.#byEntry[analyzer.entry] !== analyzer) return;
    const full = analyzer.load >= this.#options.maxLoad(analyzer);
    if (!full) analyzer.fullSinceMs = NaN;
    else if (Number.isNaN(analyzer.fullSinceMs)) analyzer.fullSinceMs = this.#clock.monotonicMs();
    const factor = analyzer.available ? analyzer.health.weightFactor(this.#clock.monotonicMs()) : 0;
    const wasOpen = this.#lottery.isOpen(analyzer.entry);
    this.#lottery.setWeight(analyzer.entry, analyzer.weight * factor);
    this.#lottery.setSuspended(analyzer.entry, full);
    if (!wasOpen && this.#lottery.isOpen(analyzer.entry)) {
      this.#eligibleAgain.resolve();
      this.#eligibleAgain = Promise.withResolvers();
    }
  }

  #withdraw(analyzer: Analyzer): void {
    for (const listener of this.#withdrawnListeners) listener(analyzer);
  }

  #changed(analyzer: Analyzer): void {
    this.#tellAvailability();
    this.#notify(analyzer);
  }

  #notify(analyzer: Analyzer): void {
    for (const listener of this.#changeListeners) listener(analyzer);
  }

  /** Says once when nobody is left, and once when somebody is there again. */
  #tellAvailability(): void {
    const isAny = this.isAnyAvailable;
    if (isAny === this.#toldAvailable || this.#closed) return;
    this.#toldAvailable = isAny;
    if (isAny) this.#log.info("an analyzer is available again");
    else this.#log.warn("no analyzer is available: packets wait");
  }

  #mayEjectForAnswers(): boolean {
    let inUse = 0;
    let out = 1;
    for (const { paused, health } of this.#analyzers.values()) {
      if (paused || (health.state === "ejected" && !health.isEjectedForAnswers)) continue;
      inUse++;
      if (health.isEjectedForAnswers) out++;
    }
    return out < inUse && out <= Math.max(1, inUse * MAX_SERVER_EJECTED);
  }
}
