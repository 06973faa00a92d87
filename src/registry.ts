/**
 * Sole owner of the analyzers: who there is, how they are, who takes part in the lottery.
 *
 * Workers draw and report here, probes report here, admin changes and reads here. Always true: an
 * analyzer has a weight in the lottery exactly while it is eligible.
 */

import { Analyzer, type AnalyzerConfig, AnalyzerRecord, type AnalyzerView } from "./analyzer.ts";
import type { Cancel, Clock } from "./clock.ts";
import { Health, type HealthOptions, type Transition } from "./health.ts";
import type { Log } from "./log.ts";
import { Lottery } from "./lottery.ts";
import { isBusyStatus, type Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import type { Random } from "./random.ts";
import { WINDOW_SECONDS } from "./window.ts";

/** Analyzers there may be at once. */
export const MAX_ANALYZERS = 1000;
/** An analyzer counts as full, for those who read, once it has been so for this long. */
const FULL_SHOWN_MS = 1000;
/** How often weights are renewed while any analyzer is in slow start. */
const RAMP_TICK_MS = 1000;
/** Of those that are not down, the part that 5xx-class failures may eject. */
const MAX_SERVER_EJECTED = 0.5;

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
  readonly #changeListeners: (() => void)[] = [];
  #eligibleAgain = Promise.withResolvers<void>();
  #cancelRamp: Cancel | undefined;
  #closed = false;

  constructor(options: RegistryOptions, doors: { clock: Clock; random: Random; log: Log }) {
    this.#options = options;
    this.#clock = doors.clock;
    this.#random = doors.random;
    this.#log = doors.log;
  }

  /** All analyzers, in order of registration. */
  get analyzers(): Iterable<Analyzer> {
    return this.#analyzers.values();
  }

  get size(): number {
    return this.#analyzers.size;
  }

  get(id: string): Analyzer | undefined {
    return this.#analyzers.get(id);
  }

  /** Hears of each analyzer that must give back what waits for it. */
  onWithdrawn(listener: (analyzer: Analyzer) => void): void {
    this.#withdrawnListeners.push(listener);
  }

  /** Hears of each change of membership or health, after it. */
  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  /** Registers an analyzer, or updates the one of that id. Eligible at once. */
  put(config: AnalyzerConfig): "created" | "updated" {
    const known = this.#analyzers.get(config.id);
    if (known) {
      if (known.url !== config.url) this.#replace(known, config);
      else this.update(known, { weight: config.weight });
      return "updated";
    }
    this.#add(config);
    this.#log.info("analyzer registered", { ...config });
    return "created";
  }

  /** Changes weight or pause; takes effect on the next draw. */
  update(analyzer: Analyzer, change: { weight?: number; paused?: boolean }): void {
    const { weight = analyzer.weight, paused = analyzer.paused } = change;
    if (weight === analyzer.weight && paused === analyzer.paused) return;
    analyzer.weight = weight;
    analyzer.paused = paused;
    this.#log.info("analyzer updated", { id: analyzer.id, weight, paused });
    this.#renew(analyzer);
    if (paused) this.#withdraw(analyzer);
    this.#changed();
  }

  /** Removes an analyzer; what is in flight to it is still settled. False when unknown. */
  remove(id: string): boolean {
    const analyzer = this.#analyzers.get(id);
    if (!analyzer) return false;
    this.#drop(analyzer);
    this.#log.info("analyzer removed", { id });
    return true;
  }

  /**
   * Draws the analyzer for a packet and counts the packet towards its load.
   *
   * @returns undefined when none is eligible
   */
  draw(packet: Packet): Analyzer | undefined {
    const entry = this.#lottery.draw(packet.messages, this.#random, packet.tried);
    const analyzer = entry < 0 ? undefined : this.#byEntry[entry];
    if (analyzer === undefined) return undefined;
    if (++analyzer.load >= this.#options.maxLoad(analyzer)) {
      analyzer.fullSinceMs = this.#clock.monotonicMs();
      this.#renew(analyzer);
    }
    return analyzer;
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
    done: { packets: number; messages: number; latencyMs: number },
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const { record } = analyzer;
    record.delivered.packets += done.packets;
    record.delivered.messages += done.messages;
    record.recentMessages.add(done.messages, nowMs);
    record.latency.record(done.latencyMs, nowMs);
    this.#moved(analyzer, analyzer.health.succeed(nowMs));
  }

  /** An attempt failed. While it is `undecided` which packet is at fault, health hears nothing. */
  failed(
    analyzer: Analyzer,
    outcome: Exclude<Outcome, { kind: "delivered" }>,
    attempt: { packet: Packet; startedMs: number; undecided: boolean },
  ): void {
    analyzer.record.failures[outcome.failure]++;
    if (attempt.undecided || outcome.kind === "rejected" || isBusyStatus(outcome.status)) return;
    const transition = analyzer.health.fail({
      class: outcome.failure,
      packetId: attempt.packet.id,
      startedMs: attempt.startedMs,
      suspectPacket: attempt.packet.tried.some((entry) => entry !== analyzer.entry),
      mayEject: this.#mayEjectForAnswers(),
    }, this.#clock.monotonicMs());
    this.#moved(analyzer, transition);
  }

  /** A probe came back. */
  probed(analyzer: Analyzer, verdict: { ok: boolean; detail: string; batches: boolean }): void {
    if (analyzer.removed) return;
    const nowMs = this.#clock.monotonicMs();
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
    const nowMs = this.#clock.monotonicMs();
    const analyzers = [...this.#analyzers.values()];
    const eligible = (analyzer: Analyzer) =>
      analyzer.available && !(nowMs - analyzer.fullSinceMs >= FULL_SHOWN_MS);
    const counted = (analyzer: Analyzer) =>
      eligible(analyzer) ? analyzer.weight * analyzer.health.weightFactor(nowMs) : 0;
    const totalWeight = analyzers.reduce((sum, analyzer) => sum + counted(analyzer), 0);
    const recent = analyzers.map((analyzer) => analyzer.record.recentMessages.total(nowMs));
    const totalRecent = recent.reduce((sum, messages) => sum + messages, 0);
    return analyzers.map((analyzer, i) => ({
      ...this.#view(analyzer, nowMs),
      eligible: eligible(analyzer),
      share: {
        target: fraction(counted(analyzer), totalWeight),
        actual: fraction(recent[i]!, totalRecent),
        window_seconds: WINDOW_SECONDS,
      },
    }));
  }

  /** Stops the registry's own timer. */
  close(): void {
    this.#closed = true;
    this.#cancelRamp?.();
    this.#eligibleAgain.resolve();
  }

  #view(analyzer: Analyzer, nowMs: number): Omit<AnalyzerView, "eligible" | "share"> {
    const latency = analyzer.record.latency.read(nowMs);
    return {
      id: analyzer.id,
      url: analyzer.url,
      weight: analyzer.weight,
      paused: analyzer.paused,
      state: analyzer.health.state,
      reason: analyzer.health.reason,
      state_seconds: (nowMs - analyzer.health.sinceMs) / 1000,
      delivered: { ...analyzer.record.delivered },
      failures: { ...analyzer.record.failures },
      in_flight: analyzer.inFlight,
      latency_ms: {
        p50: latency.quantileMs(0.5),
        p95: latency.quantileMs(0.95),
        p99: latency.quantileMs(0.99),
      },
    };
  }

  #add(config: AnalyzerConfig, record = new AnalyzerRecord()): Analyzer {
    const free = this.#byEntry.indexOf(undefined);
    const entry = free < 0 ? this.#byEntry.length : free;
    const nowMs = this.#clock.monotonicMs();
    const health = new Health(this.#options.health, { random: this.#random, nowMs });
    const analyzer = new Analyzer(config, { entry, health, record });
    this.#byEntry[entry] = analyzer;
    this.#analyzers.set(config.id, analyzer);
    this.#renew(analyzer);
    this.#changed();
    return analyzer;
  }

  #drop(analyzer: Analyzer): void {
    analyzer.removed = true;
    this.#analyzers.delete(analyzer.id);
    this.#renew(analyzer);
    this.#byEntry[analyzer.entry] = undefined;
    this.#withdraw(analyzer);
    this.#changed();
  }

  /** Another URL is another server: it starts with a clean health, and keeps its record. */
  #replace(known: Analyzer, config: AnalyzerConfig): void {
    this.#drop(known);
    const analyzer = this.#add(config, known.record);
    if (known.paused) this.update(analyzer, { paused: true });
    this.#log.info("analyzer moved", { id: config.id, from: known.url, to: config.url });
  }

  #moved(analyzer: Analyzer, transition: Transition | undefined): void {
    if (!transition || analyzer.removed) return;
    const { from, to, reason } = transition;
    this.#log[to === "ejected" ? "warn" : "info"](`analyzer ${to}`, {
      id: analyzer.id,
      from,
      reason,
    });
    this.#renew(analyzer);
    if (to === "ejected") this.#withdraw(analyzer);
    if (to === "healthy") this.#ramp();
    this.#changed();
  }

  /** Sets an analyzer's weight in the lottery to what it should be now. */
  #renew(analyzer: Analyzer): void {
    // What was removed may still have packets in flight, and another in its place.
    if (this.#byEntry[analyzer.entry] !== analyzer) return;
    const full = analyzer.load >= this.#options.maxLoad(analyzer);
    if (!full) analyzer.fullSinceMs = NaN;
    else if (Number.isNaN(analyzer.fullSinceMs)) analyzer.fullSinceMs = this.#clock.monotonicMs();
    const eligible = analyzer.available && !full;
    const factor = eligible ? analyzer.health.weightFactor(this.#clock.monotonicMs()) : 0;
    const before = this.#lottery.weight(analyzer.entry);
    this.#lottery.setWeight(analyzer.entry, analyzer.weight * factor);
    if (before === 0 && factor > 0) {
      this.#eligibleAgain.resolve();
      this.#eligibleAgain = Promise.withResolvers();
    }
  }

  #withdraw(analyzer: Analyzer): void {
    for (const listener of this.#withdrawnListeners) listener(analyzer);
  }

  #changed(): void {
    for (const listener of this.#changeListeners) listener();
  }

  /** Renews weights every second for as long as any analyzer is in slow start. */
  #ramp(): void {
    if (this.#cancelRamp || this.#closed) return;
    this.#cancelRamp = this.#clock.after(RAMP_TICK_MS, () => {
      this.#cancelRamp = undefined;
      const nowMs = this.#clock.monotonicMs();
      let ramping = false;
      for (const analyzer of this.#analyzers.values()) {
        this.#renew(analyzer);
        ramping ||= analyzer.health.isRamping(nowMs);
      }
      if (ramping) this.#ramp();
    });
  }

  #mayEjectForAnswers(): boolean {
    let inUse = 0;
    let out = 1;
    for (const analyzer of this.#analyzers.values()) {
      if (analyzer.paused) continue;
      inUse++;
      if (analyzer.health.state === "ejected") out++;
    }
    return out < inUse && out <= Math.max(1, inUse * MAX_SERVER_EJECTED);
  }
}

/** A part of a whole, without the noise of floating point; 0 of nothing. */
function fraction(part: number, whole: number): number {
  return whole > 0 ? Math.round(part / whole * 1e9) / 1e9 : 0;
}
