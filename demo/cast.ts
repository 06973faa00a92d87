/**
 * Who plays in the demo: a distributor, four analyzers, generators; their flags, ports and ids.
 *
 * The analyzers print each packet's id before they answer, into a pipe that outlives them: so even
 * what one had received when it was killed can be counted.
 */

import type { RunReport } from "../generator/report.ts";
import { sleep, systemClock } from "../src/clock.ts";
import { abortable, DemoFault } from "./readings.ts";
import { choosePort } from "./ports.ts";
import type { Processes, Running } from "./processes.ts";

export const WEIGHTS = { analyzer1: 0.4, analyzer2: 0.3, analyzer3: 0.2, analyzer4: 0.1 } as const;
export type AnalyzerId = keyof typeof WEIGHTS;
export const IDS = Object.keys(WEIGHTS) as AnalyzerId[];

/** Ordinary flags, shorter than the defaults: else the story would take minutes. */
export const DISTRIBUTOR_FLAGS = {
  "--ejection-time": "2s",
  "--slow-start": "5s",
  "--health-check-interval": "1s",
};
export const ANALYZER_FLAGS = { "--latency": "3ms", "--jitter": "4ms" };
/** Messages per packet, heavy-tailed. */
export const BATCH = "1..100";
const USUAL_PORT = 8080;
/** A write into a pipe is read within moments. */
const JOURNAL_TIMEOUT_MS = 5000;

/** What one analyzer process has written down. */
interface Player {
  readonly running: Running;
  printed: number;
}

/** A generator at work. */
export interface Load {
  /** Lets it finish what it has sent. */
  stop(): void;
  readonly report: Promise<RunReport>;
}

export class Cast {
  readonly port: number;
  readonly analyzerPorts: Readonly<Record<AnalyzerId, number>>;
  /** Distinct packet ids at the analyzers, and how many there were in all. */
  readonly ids = new Set<string>();
  received = 0;
  /** Whether ids are still noted. */
  isCounting = true;
  readonly #processes: Processes;
  readonly #players = new Map<AnalyzerId, Player>();
  readonly #gone: Running[] = [];

  constructor(processes: Processes, { freePorts }: { freePorts: boolean }) {
    this.#processes = processes;
    const taken = new Set(freePorts ? [0, 1, 2, 3, 4].map((i) => USUAL_PORT + i) : []);
    const take = (usual: number) => {
      const port = choosePort(usual, taken);
      taken.add(port);
      return port;
    };
    this.port = take(USUAL_PORT);
    this.analyzerPorts = Object.fromEntries(
      IDS.map((id, i) => [id, take(USUAL_PORT + 1 + i)]),
    ) as Record<AnalyzerId, number>;
  }

  /** The distributor's. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Usual ports that were not free. */
  get portsTaken(): number[] {
    const ports = [this.port, ...IDS.map((id) => this.analyzerPorts[id])];
    return ports.map((_, i) => USUAL_PORT + i).filter((usual) => !ports.includes(usual));
  }

  startDistributor({ configPath, dataDir, onLog }: {
    configPath: string;
    dataDir: string;
    onLog: (line: string) => void;
  }): void {
    this.#processes.start({
      name: "distributor",
      program: "distributor",
      args: [
        ...["--http-addr", `127.0.0.1:${this.port}`, "--config", configPath],
        ...["--log-format", "json", "--data-dir", dataDir],
        ...Object.entries(DISTRIBUTOR_FLAGS).flat(),
      ],
      onError: onLog,
    });
  }

  /** Starts an analyzer, which registers itself. */
  startAnalyzer(id: AnalyzerId): void {
    const player = {
      printed: 0,
      running: this.#processes.start({
        name: id,
        program: "analyzer",
        args: [
          ...["-id", id, "-port", `${this.analyzerPorts[id]}`, "-weight", `${WEIGHTS[id]}`],
          ...["-distributor", this.url, "-journal"],
          ...Object.entries(ANALYZER_FLAGS).flat(),
        ],
        onOutput: (packetId) => {
          player.printed++;
          this.#note(packetId);
        },
      }),
    };
    this.#players.set(id, player);
  }

  /** Kills an analyzer the hard way; it has no time for a word. */
  killAnalyzer(id: AnalyzerId): void {
    const { running } = this.#players.get(id)!;
    running.signal("SIGKILL");
    this.#players.delete(id);
    this.#gone.push(running);
  }

  /** Starts a generator that sends until it is stopped or its time is over. */
  startLoad(agent: string, { rate, seconds = 0 }: { rate: number; seconds?: number }): Load {
    const output: string[] = [];
    const running = this.#processes.start({
      name: `generator-${agent}`,
      program: "generator",
      args: [
        ...["-url", this.url, "-agent", agent, "-rate", `${rate}`, "-batch", BATCH],
        ...["-duration", `${seconds}s`, "-retry", "-json", "-quiet"],
      ],
      mayEnd: true,
      onOutput: (line) => output.push(line),
    });
    const report = running.ended.then(() => JSON.parse(output.at(-1) ?? "null") as RunReport);
    // Whoever is interrupted no longer waits for it.
    report.catch(() => {});
    return { report, stop: () => running.signal("SIGINT") };
  }

  /**
   * Resolves when all ids that were printed have been read.
   *
   * @throws {DemoFault} when an analyzer says it has received more than it has printed
   */
  async settleJournals(signal: AbortSignal): Promise<void> {
    await abortable(Promise.all(this.#gone.map(({ ended }) => ended)), signal);
    const endMs = systemClock.monotonicMs() + JOURNAL_TIMEOUT_MS;
    for (const [id, player] of this.#players) {
      const response = await fetch(`http://localhost:${this.analyzerPorts[id]}/stats`, { signal });
      const { packets } = await response.json();
      while (player.printed < packets) {
        if (systemClock.monotonicMs() > endMs) {
          throw new DemoFault(
            `${id} has received ${packets} packets but printed ${player.printed}`,
          );
        }
        await sleep(20, systemClock, signal);
        signal.throwIfAborted();
      }
    }
  }

  #note(packetId: string): void {
    if (!this.isCounting) return;
    this.received++;
    this.ids.add(packetId);
  }
}
