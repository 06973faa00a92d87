/**
 * The demo's child processes: starts them, passes on what they print line by line, ends them all.
 *
 * What is not passed on goes to one file a process. Always true: after stopAll() none is left.
 */

import { sleep, systemClock } from "../src/clock.ts";

/** One of the three programs, and what it may do when run from source. */
export const PROGRAMS = {
  distributor: {
    entry: "main.ts",
    permissions: ["--allow-net", "--allow-read", "--allow-write=data", "--allow-env"],
  },
  analyzer: { entry: "analyzers/main.ts", permissions: ["--allow-net"] },
  generator: { entry: "generator/main.ts", permissions: ["--allow-net"] },
};

export const ROOT = new URL("../", import.meta.url);
const STOP_TIMEOUT_MS = 1500;
/** A Ctrl-C reaches the children too: who asks first whether they died by themselves must wait. */
const DEATH_NOTICE_MS = 300;

export interface Launch {
  /** Unique, such as "analyzer2". */
  readonly name: string;
  readonly program: keyof typeof PROGRAMS;
  readonly args: readonly string[];
  /** Whether it ends by itself when its work is done. @default false */
  readonly mayEnd?: boolean;
  /** Takes each line of stdout instead of the file. */
  readonly onOutput?: (line: string) => void;
  /** Takes each line of stderr besides the file. */
  readonly onError?: (line: string) => void;
}

/** A running child. */
export interface Running {
  readonly name: string;
  /** Sends a signal; its end is no surprise from here on. */
  signal(signal: Deno.Signal): void;
  /** Resolves when it has ended and all it printed has been read. */
  readonly ended: Promise<Deno.CommandStatus>;
}

export interface ProcessesOptions {
  /** Where the files go. */
  readonly folder: string;
  /** Folder of executables to run instead of the sources. */
  readonly bin?: string | undefined;
}

export class Processes {
  /** Told when a child ends that should not: its name, and how. */
  onDeath: (name: string, how: string) => void = () => {};
  readonly #options: ProcessesOptions;
  readonly #children = new Map<Deno.ChildProcess, Promise<unknown>>();
  #stopping = false;

  constructor(options: ProcessesOptions) {
    this.#options = options;
  }

  /** Starts a child. */
  start(launch: Launch): Running {
    const child = this.#spawn(launch);
    const file = (line: string) => this.#file(launch.name, line);
    const onError = (line: string) => {
      file(line);
      launch.onError?.(line);
    };
    let expected = launch.mayEnd ?? false;
    const ended = Promise.all([
      child.status,
      readLines(child.stdout, launch.onOutput ?? file),
      readLines(child.stderr, onError),
    ]).then(([status]) => {
      this.#children.delete(child);
      if (!expected || (launch.mayEnd && status.code !== 0)) void this.#mourn(launch.name, status);
      return status;
    });
    this.#children.set(child, ended);
    return {
      name: launch.name,
      ended,
      signal(signal) {
        expected = true;
        send(child, signal);
      },
    };
  }

  /** Ends all children: first asked, then made to. Whoever dies now is no surprise. */
  async stopAll(): Promise<void> {
    this.#stopping = true;
    for (const child of this.#children.keys()) send(child, "SIGTERM");
    const all = Promise.allSettled(this.#children.values());
    const tooLong = new AbortController();
    await Promise.race([all, sleep(STOP_TIMEOUT_MS, systemClock, tooLong.signal)]);
    tooLong.abort();
    this.killAll();
    await all;
  }

  /** Kills all children at once, without waiting. */
  killAll(): void {
    for (const child of this.#children.keys()) send(child, "SIGKILL");
  }

  #spawn({ program, args }: Launch): Deno.ChildProcess {
    const { entry, permissions } = PROGRAMS[program];
    const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(/\s+/).filter(Boolean);
    const { bin } = this.#options;
    return new Deno.Command(bin ? `${Deno.realPathSync(bin)}/${program}` : Deno.execPath(), {
      args: bin ? [...args] : ["run", ...profile, "--no-prompt", ...permissions, entry, ...args],
      cwd: ROOT,
      // A distributor configured in the visitor's shell would tell another story.
      clearEnv: true,
      env: Object.fromEntries(
        Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("DISTRIBUTOR_")),
      ),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  #file(name: string, line: string): void {
    Deno.writeTextFileSync(`${this.#options.folder}/${name}.log`, `${line}\n`, { append: true });
  }

  async #mourn(name: string, { code, signal }: Deno.CommandStatus): Promise<void> {
    await sleep(DEATH_NOTICE_MS, systemClock);
    if (this.#stopping) return;
    this.onDeath(name, signal ?? `exit code ${code}`);
  }
}

function send(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended already.
  }
}

/** Passes on whole lines; what a killed process did not finish is nobody's. */
async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(line);
  }
}
