/**
 * The three programs as subprocesses: from source, or the executables that the environment names.
 *
 * DISTRIBUTOR_DIST, a folder as `deno task compile` makes it, replaces `deno run`, so that the same
 * tests hold for what is compiled: with TMPDIR in `data`, since executables touch that and `config`
 * and hardly anything else. From source they run with the permissions of their tasks.
 */

import denoConfig from "../../deno.json" with { type: "json" };
import { TestFolder } from "./data_folder.ts";
import { eventually } from "./eventually.ts";
import { threadsBeside, withFlowFlags } from "./flow_flags.ts";

export type ProgramName = "distributor" | "analyzer" | "generator";

const TASKS = { distributor: "start", analyzer: "analyzer", generator: "generator" } as const;
const ROOT = new URL("../../", import.meta.url);

/** Folder of the executables that stand for the sources, if any do. */
export const DIST: string | undefined = Deno.env.get("DISTRIBUTOR_DIST") || undefined;

/** One line of a program's JSON log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface ProgramOptions {
  readonly env?: Record<string, string>;
  /** File descriptors it may have; the shell sees to it. */
  readonly descriptors?: number;
  /** A module that runs before it; only from source. */
  readonly preload?: URL;
  /** Words before the command, such as a tracer's. */
  readonly wrap?: readonly string[];
  /** The folder it starts in; only an executable. */
  readonly cwd?: string;
  /** Whether `env` is all it gets; only an executable. */
  readonly clearEnv?: boolean;
}

/** Starts a program in the project's folder. */
export function startProgram(
  name: ProgramName,
  args: readonly string[],
  options: ProgramOptions = {},
): Program {
  const { descriptors, preload, wrap = [] } = options;
  const words = commandOf(name);
  if (preload) words.splice(2, 0, `--preload=${preload.href}`);
  if (descriptors) words.unshift("sh", "-c", `ulimit -n ${descriptors} && exec "$@"`, "sh");
  const [command, ...fixed] = [...wrap, ...words];
  return new Program(
    new Deno.Command(command!, {
      args: [...fixed, ...args],
      cwd: DIST && options.cwd || ROOT,
      clearEnv: DIST !== undefined && options.clearEnv === true,
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** Starts a distributor on a free port, with a data folder of its own, and waits until it listens. */
export async function startDistributorProgram(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<{ program: Program; url: string }> {
  const folder = new TestFolder();
  const flags = ["--http-addr=127.0.0.1:0", folder.flag, ...withFlowFlags(args)];
  const program = startProgram("distributor", flags, options);
  program.onEnd = () => folder.remove();
  const url = await program.url();
  if (threadsBeside(flags) > 0) await program.logs("thread listening");
  return { program, url };
}

/** The path of an executable; it ends with .exe where programs do. */
export function executableOf(name: ProgramName): string {
  const path = `${DIST}/${name}${Deno.build.os === "windows" ? ".exe" : ""}`;
  return path.startsWith("/") ? path : new URL(path, ROOT).pathname;
}

function commandOf(name: ProgramName): string[] {
  if (DIST) return [executableOf(name)];
  const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
  const words = denoConfig.tasks[TASKS[name]].command.replaceAll("'", "").split(" ");
  return words.flatMap((word) =>
    word === "deno" ? [Deno.execPath()] : word === "$DENO_PROFILE" ? profile : [word]
  );
}

export class Program {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<number>;
  #isRunning = true;
  /** Called when it has ended. */
  onEnd: () => void = () => {};

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const reading = [readLines(child.stdout, this.stdout), readLines(child.stderr, this.stderr)];
    this.#ended = child.status.then(async ({ code }) => {
      this.#isRunning = false;
      await Promise.all(reading);
      this.onEnd();
      return code;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Where the distributor listens, from its own log. */
  async url(): Promise<string> {
    return (await this.logs("distributor started"))["url"] as string;
  }

  /** Waits for an event in the JSON log. */
  async logs(event: string, timeoutMs = 10_000): Promise<LogLine> {
    return await eventually(() => this.events().find((line) => line.event === event), {
      name: `log line ${JSON.stringify(event)}`,
      timeoutMs,
      everyMs: 5,
    }) as LogLine;
  }

  /** The lines of the JSON log so far. */
  events(): LogLine[] {
    return this.stderr.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Sends a signal; nothing happens once the program has ended. */
  signal(name: Deno.Signal): void {
    if (!this.#isRunning) return;
    try {
      this.#child.kill(name);
    } catch (error) {
      // It has ended, and its exit code is not here yet.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Resolves to the exit code and how long that took from now. */
  async exits(): Promise<{ code: number; tookMs: number }> {
    const startedMs = performance.now();
    const code = await this.#ended;
    return { code, tookMs: performance.now() - startedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning) this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
  }
  if (rest !== "") lines.push(rest);
}
