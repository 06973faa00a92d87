/**
 * READ FIRST. Builds the stages in the order in which a packet flows, starts and drains them.
 *
 *   agent ─POST─▶ ingest ─▶ queue/channel ─▶ workers ─draw─▶ lanes ─POST─▶ analyzer
 *                                              ▲                │
 *                            registry, lottery ┴── outcomes ────┘ ◀── probes
 */

import type { AnalyzerGlance } from "./analyzer_view.ts";
import { createApp } from "./app.ts";
import { type Clock, type LoopClock, sleep } from "./clock.ts";
import type { Config } from "./config.ts";
import { createDelivery } from "./delivery.ts";
import { deliverRest } from "./drain.ts";
import { DEFAULT_HEALTH } from "./health.ts";
import { createHostCheck } from "./hosts.ts";
import { maxLoad } from "./lane.ts";
import { Instruments } from "./instruments.ts";
import type { Log } from "./log.ts";
import { IngestMetrics, type MetricsView, readMetrics } from "./metrics.ts";
import { Prober } from "./probe.ts";
import { Observation } from "./observation.ts";
import { DiskQueue } from "./queue/disk.ts";
import { MemoryQueue } from "./queue/memory.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import { Spool } from "./queue/spool.ts";
import type { Random } from "./random.ts";
import { randomId } from "./random.ts";
import { Registry } from "./registry.ts";
import { Roster, storeIn } from "./roster.ts";
import { Server } from "./server.ts";
import { Commons } from "./threads/commons.ts";
import { Threads } from "./threads/threads.ts";
import { Tracing } from "./tracing.ts";
import { VERSION } from "./version.ts";
import { listWarnings } from "./warnings.ts";
import { Lanes, runWorkers } from "./worker.ts";

/** After the drain, the workers have this long to notice. */
const END_TIMEOUT_MS = 1000;
/** Health checks of an analyzer whose state may be about to change come this soon. */
const TRANSITION_MS = 1000;

export interface Doors {
  readonly clock: LoopClock;
  readonly random: Random;
  readonly log: Log;
  /** The storage has failed: nothing is acknowledged any more, and the process is to end. */
  readonly onFailed: (error: Error) => void;
  /** What ingest threads run. @default the module of this program */
  readonly threadModule?: URL;
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
 * @throws {StorageError} when the data folder cannot be used
 * @throws {Deno.errors.AddrInUse} and other faults of listening, before anything runs
 */
export function startDistributor(config: Config, doors: Doors): Distributor {
  const { options } = config;
  const { clock, random, log } = doors;
  const startedMs = clock.monotonicMs();
  let isOpen = true;
  let isStopped = false;

  const spool = options.durability === "disk"
    ? Spool.open({ folder: options.dataDir, maxBytes: options.spoolMaxBytes, clock, log })
    : undefined;
  const commons = options.threads > 1
    ? Commons.create(options.threads, options.queueBytes)
    : undefined;
  const room = {
    capacity: options.queueSize,
    capacityBytes: options.queueBytes,
    beside: commons?.beside(),
  };
  const queue = spool
    ? new DiskQueue(room, { spool, clock, log, onFailed: doors.onFailed })
    : new MemoryQueue(room, clock);
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
  const roster = new Roster(registry, {
    store: spool && storeIn(spool),
    clock,
    log,
    onFailed: doors.onFailed,
  });
  const ingestMetrics = new IngestMetrics();
  const metricsOf = <View extends AnalyzerGlance>(analyzers: View[]) =>
    readMetrics(queue, {
      ingest: ingestMetrics,
      spool,
      analyzers,
      uptimeSeconds: (clock.monotonicMs() - startedMs) / 1000,
      version: VERSION,
    });
  const metrics = () => metricsOf(registry.views());
  tracing?.showMetrics(() => metricsOf(registry.glances()));
  const condition = {
    unready: () => !isOpen ? "draining" : queue.isReady ? undefined : queue.fullReason,
    warnings: () => listWarnings({ queue, spool, analyzers: registry.glances() }),
  };
  const observation = new Observation({
    instruments,
    clock,
    log,
    state: metrics,
    glance: () => metricsOf(registry.glances()),
    ...condition,
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
      log,
      ...condition,
    },
    observation,
    isHostAllowed: createHostCheck([...options.allowedHosts.split(","), options.httpAddr.hostname]),
    log,
  });

  const server = listen();
  const threads = commons && new Threads({
    address: { hostname: options.httpAddr.hostname, port: server.port },
    maxBodyBytes: options.maxBody,
    handler: app,
    module: doors.threadModule,
  }, { queue, metrics: ingestMetrics, instruments, commons, clock, log, isOpen: () => isOpen });
  const prober = new Prober(registry, {
    intervalMs: options.healthCheckInterval,
    transitionMs: Math.min(TRANSITION_MS, options.healthCheckInterval),
    timeoutMs: options.healthCheckTimeout,
  }, doors);
  roster.restore();
  roster.takeOver(config.analyzers);
  const workers = runWorkers(options.workers, { lanes, doors: laneDoors });

  let drained: Promise<Rest> | undefined;
  return {
    url: server.url,
    registry,
    metrics,
    reconfigure: (next) => roster.takeOver(next.analyzers),
    drain: () => drained ??= drain(),
  };

  function listen(): Server {
    try {
      const sharing = commons && "first";
      return new Server(app, { address: options.httpAddr, sharing, clock, log });
    } catch (error) {
      spool?.close();
      throw error;
    }
  }

  async function drain(): Promise<Rest> {
    isOpen = false;
    commons?.shut();
    queue.releaseDelayed(options.drainTimeout);
    await deliverRest(options.drainTimeout, { queue, registry, clock, log });
    isStopped = true;
    prober.stop();
    queue.close();
    registry.close();
    roster.close();
    await settled(workers, clock);
    delivery.close();
    observation.close();
    await Promise.all([server.close(), threads?.close()]);
    await queue.finish();
    return restOf(queue);
  }
}

/** Resolves when a promise has settled, or after a second: the end must not hang on a bug. */
async function settled(promise: Promise<void>, clock: Clock): Promise<void> {
  const done = new AbortController();
  await Promise.race([Promise.allSettled([promise]), sleep(END_TIMEOUT_MS, clock, done.signal)]);
  done.abort();
}

function restOf({ ledger }: PacketQueue): Rest {
  const left = (["queued", "spooled", "in_flight"] as const).map((place) => ledger.count(place));
  return {
    packets: left.reduce((sum, { packets }) => sum + packets, 0),
    messages: left.reduce((sum, { messages }) => sum + messages, 0),
  };
}
