/**
 * READ FIRST. Builds the stages in the order in which a packet flows, starts and drains them.
 *
 *   agent ─POST─▶ ingest ─▶ queue/channel ─▶ workers ─draw─▶ lanes ─POST─▶ analyzer
 *                                              ▲                │
 *                            registry, lottery ┴── outcomes ────┘ ◀── probes
 */

import type { AnalyzerConfig } from "./analyzer.ts";
import type { AnalyzerGlance } from "./analyzer_view.ts";
import { createApp } from "./app.ts";
import { type Clock, sleep } from "./clock.ts";
import type { Config } from "./config.ts";
import { createDelivery } from "./delivery.ts";
import { DEFAULT_HEALTH } from "./health.ts";
import { maxLoad } from "./lane.ts";
import { Instruments } from "./instruments.ts";
import type { Log } from "./log.ts";
import { IngestMetrics, type MetricsView, readMetrics } from "./metrics.ts";
import { Prober } from "./probe.ts";
import { Observation } from "./observation.ts";
import { MemoryQueue } from "./queue/memory.ts";
import type { Random } from "./random.ts";
import { randomId } from "./random.ts";
import { Registry } from "./registry.ts";
import { Server } from "./server.ts";
import { Tracing } from "./tracing.ts";
import { VERSION } from "./version.ts";
import { Lanes, runWorkers } from "./worker.ts";

/** After the drain, the workers have this long to notice. */
const END_TIMEOUT_MS = 1000;
/** Health checks of an analyzer whose state may be about to change come this soon. */
const TRANSITION_MS = 1000;

export interface Doors {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether the runtime's OpenTelemetry is on. @default false */
  readonly isTraced?: boolean;
}

/** What was left undelivered at the end of a drain. */
export interface Rest {
  readonly packets: number;
  readonly messages: number;
}

export interface Distributor {
  /** Where it listens: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly registry: Registry;
  metrics(): MetricsView;
  /** Takes over what a config file that was read again says otherwise of its analyzers. */
  reconfigure(config: Config): void;
  /** Refuses new packets, delivers what it can within the drain time, and stops. */
  drain(): Promise<Rest>;
}

/**
 * Starts a distributor.
 *
 * @throws {Deno.errors.AddrInUse} and other faults of listening, before anything runs
 */
export function startDistributor(config: Config, doors: Doors): Distributor {
  const { options } = config;
  const { clock, random, log } = doors;
  const startedMs = clock.monotonicMs();
  let isOpen = true;
  let isStopped = false;

  const queue = new MemoryQueue(
    { capacity: options.queueSize, capacityBytes: options.queueBytes },
    clock,
  );
  const limits = {
    maxInFlight: options.maxInFlight,
    maxBatchesInFlight: 4,
    maxBatchPackets: options.maxBatch,
    maxBatchBytes: options.maxBatchBytes,
  };
  const registry = new Registry({
    health: {
      ...DEFAULT_HEALTH,
      ejectionMs: options.ejectionTime,
      slowStartMs: options.slowStart,
    },
    maxLoad: (analyzer) => maxLoad(analyzer, limits),
  }, doors);
  const delivery = createDelivery({ timeoutMs: options.attemptTimeout, clock });
  const policy = { maxRetries: options.maxRetries, intervalMs: options.retryInterval };
  const instruments = new Instruments(clock);
  const tracing = doors.isTraced ? new Tracing(VERSION) : undefined;
  const laneDoors = {
    queue,
    registry,
    delivery,
    instruments,
    tracing,
    policy,
    limits,
    clock,
    random,
    log,
    isStopped: () => isStopped,
  };
  const lanes = new Lanes(laneDoors);
  registry.onWithdrawn((analyzer) => {
    if (analyzer.removed) delivery.forget(analyzer.url);
  });
  const ingestMetrics = new IngestMetrics();
  const metricsOf = <View extends AnalyzerGlance>(analyzers: View[]) =>
    readMetrics(queue, {
      ingest: ingestMetrics,
      analyzers,
      uptimeSeconds: (clock.monotonicMs() - startedMs) / 1000,
      version: VERSION,
    });
  const metrics = () => metricsOf(registry.views());
  tracing?.showMetrics(() => metricsOf(registry.glances()));
  const observation = new Observation({
    instruments,
    clock,
    state: metrics,
    glance: () => metricsOf(registry.glances()),
    boot: randomId(),
  });
  const app = createApp({
    ingest: {
      queue,
      metrics: ingestMetrics,
      instruments,
      tracing,
      clock,
      log,
      newId: randomId,
      maxBodyBytes: options.maxBody,
      isOpen: () => isOpen,
    },
    admin: {
      registry,
      queue,
      metrics,
      clock,
      unready: () => !isOpen ? "draining" : queue.isReady ? undefined : queue.fullReason,
    },
    observation,
    log,
  });

  const server = new Server(app, { address: options.httpAddr, clock, log });
  const prober = new Prober(registry, {
    intervalMs: options.healthCheckInterval,
    transitionMs: Math.min(TRANSITION_MS, options.healthCheckInterval),
    timeoutMs: options.healthCheckTimeout,
  }, doors);
  for (const analyzer of config.analyzers) registry.put(analyzer);
  const workers = runWorkers(options.workers, { lanes, doors: laneDoors });

  let fromFile = config.analyzers;
  let drained: Promise<Rest> | undefined;
  return {
    url: server.url,
    registry,
    metrics,
    reconfigure(next) {
      for (const { id } of fromFile) {
        if (!next.analyzers.some((analyzer) => analyzer.id === id)) registry.remove(id);
      }
      // What the file says as before may have been changed over the API since.
      for (const analyzer of next.analyzers) {
        if (!fromFile.some((before) => isSame(before, analyzer))) registry.put(analyzer);
      }
      fromFile = next.analyzers;
    },
    drain: () => drained ??= drain(),
  };

  async function drain(): Promise<Rest> {
    isOpen = false;
    queue.releaseDelayed(options.drainTimeout);
    await queue.idle(options.drainTimeout);
    isStopped = true;
    prober.stop();
    queue.close();
    registry.close();
    await settled(workers, clock);
    delivery.close();
    observation.close();
    await server.close();
    return restOf(queue);
  }
}

/** Resolves when a promise has settled, or after a second: the end must not hang on a bug. */
async function settled(promise: Promise<void>, clock: Clock): Promise<void> {
  const done = new AbortController();
  await Promise.race([Promise.allSettled([promise]), sleep(END_TIMEOUT_MS, clock, done.signal)]);
  done.abort();
}

function isSame(a: AnalyzerConfig, b: AnalyzerConfig): boolean {
  return a.id === b.id && a.url === b.url && a.weight === b.weight;
}

function restOf({ ledger }: MemoryQueue): Rest {
  const queued = ledger.count("queued");
  const inFlight = ledger.count("in_flight");
  return {
    packets: queued.packets + inFlight.packets,
    messages: queued.messages + inFlight.messages,
  };
}
