/**
 * The bench's child processes: what they print goes to files, and none outlives the bench.
 *
 * Always true: after stopAll() no child and no child of a child is left.
 */

import { sleep, systemClock } from "../src/clock.ts";
import { childrenOf } from "./process_usage.ts";

const STOP_TIMEOUT_MS = 5000;
const START_TIMEOUT_MS = 15_000;
/** Characters of its output that are shown when a child fails. */
const MAX_PRINTED = 2000;

export interface Child {
  readonly name: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Launch {
  readonly name: string;
  /** Program and arguments. */
  readonly words: readonly string[];
  readonly cwd?: string | URL | undefined;
}

export class Children {
  /** Told when a child ends that nobody stopped: its name, and how. */
  onDeath: (name: string, how: string) => void = () => {};
  readonly folder: string;
  readonly #running = new Map<Child, Deno.ChildProcess>();
  readonly #stopped = new Set<Child>();

  /** @param folder for `NAME.log` of each child */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Starts a child. */
  start({ name, words, cwd }: Launch): Child {
    // The shell gives way to the program: same process, output in a file.
    const process = new Deno.Command("sh", {
      args: ["-c", 'exec "$@" >"$0" 2>&1', `${this.folder}/${name}.log`, ...words],
      ...(cwd === undefined ? {} : { cwd }),
      clearEnv: true,
      env: cleanEnvironment(),
      stdin: "null",
    }).spawn();
    const child = { name, pid: process.pid, stop: () => this.#stop(child) };
    this.#running.set(child, process);
    void process.status.then((status) => {
      this.#running.delete(child);
      if (this.#stopped.has(child)) return;
      this.onDeath(name, `${status.signal ?? `exit code ${status.code}`}: ${this.#printed(name)}`);
    });
    return child;
  }

  /**
   * Waits until a child answers on a port.
   *
   * @throws {Error} with what it printed, when it ends or is too slow
   */
  async untilListening(child: Child, port: number): Promise<void> {
    const giveUpMs = systemClock.monotonicMs() + START_TIMEOUT_MS;
    while (!await canConnect(port)) {
      if (!this.#running.has(child) || systemClock.monotonicMs() > giveUpMs) {
        throw new Error(`Cannot start ${child.name}: ${this.#printed(child.name)}`);
      }
      await sleep(20, systemClock);
    }
  }

  /** Stops all. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((child) => this.#stop(child)));
  }

  /** The end of what a child has said. */
  #printed(name: string): string {
    const text = Deno.readTextFileSync(`${this.folder}/${name}.log`).trim();
    return text.slice(-MAX_PRINTED) || "it printed nothing";
  }

  async #stop(child: Child): Promise<void> {
    const process = this.#running.get(child);
    if (!process) return;
    this.#stopped.add(child);
    const grandchildren = listChildren(child.pid);
    signal(child.pid, "SIGTERM");
    const tooLong = new AbortController();
    const ended = await Promise.race([
      process.status.then(() => true),
      sleep(STOP_TIMEOUT_MS, systemClock, tooLong.signal).then(() => false),
    ]);
    tooLong.abort();
    if (!ended) { for (const pid of [child.pid, ...grandchildren]) signal(pid, "SIGKILL"); }
    await process.status;
  }
}

/** What is set for the visitor's own distributor must not reach ours. */
function cleanEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("DISTRIBUTOR_")),
  );
}

function listChildren(pid: number): number[] {
  try {
    return childrenOf(pid);
  } catch {
    return [];
  }
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

async function canConnect(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
