/**
 * One run of the demo: screen, processes, signals, story, verdicts, and everything stopped.
 *
 * Always true: when it resolves, no process that it started is left, whatever has happened.
 */

import { onStopSignal } from "../src/signals.ts";
import { Cast } from "./cast.ts";
import { Processes, ROOT } from "./processes.ts";
import { DemoFault } from "./readings.ts";
import { Screen } from "./screen.ts";
import { Story } from "./story.ts";
import { conclude, describeCommands, introduce } from "./words.ts";

/** Shown of each file after a failure. */
const TAIL_LINES = 8;

export interface RunOptions {
  /** Go on afterwards, until interrupted. */
  readonly keep: boolean;
  /** Folder of executables to run instead of the sources. */
  readonly bin: string | undefined;
  /** Take any free ports, not the usual ones. */
  readonly freePorts: boolean;
  /** Plain lines on a terminal too. */
  readonly plain: boolean;
}

/** How it ended. */
export type Ending = "held" | "failed" | "interrupted";

/** What ends the story when somebody wants it to end. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** For config and logs. Executables may read below `data`, but not in the system's folder. */
function makeFolder(bin: string | undefined): string {
  const prefix = "distributor-demo-";
  if (bin === undefined) return Deno.makeTempDirSync({ prefix });
  Deno.mkdirSync("data", { recursive: true });
  return Deno.makeTempDirSync({ prefix, dir: "data" });
}

/** Runs the demo. */
export async function run(options: RunOptions): Promise<Ending> {
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Interrupted());
  const folder = makeFolder(options.bin);
  const screen = createScreen(options, interrupt);
  const processes = new Processes({ folder, bin: options.bin });
  // Below the one folder that the distributor may write to; a demo starts with nothing in it.
  const dataDir = `data/demo-${crypto.randomUUID()}`;
  const release = listen({
    interrupt,
    fail: (reason) => stop.abort(reason),
    killAll: () => processes.killAll(),
  });
  let ending: Ending = "failed";
  let files = "";
  try {
    ending = await perform(options, { screen, processes, folder, dataDir, stop });
    if (ending === "failed") files = describeFiles(folder);
  } catch (error) {
    screen.close();
    screen.say(`\nFAIL ${explain(error)}`);
    // Now, before they write that they have been stopped.
    files = describeFiles(folder);
  } finally {
    screen.close();
    await processes.stopAll();
    release();
    removeIfThere(new URL(dataDir, ROOT));
  }
  if (ending === "failed") screen.say(files);
  else Deno.removeSync(folder, { recursive: true });
  return ending;
}

function removeIfThere(path: URL): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

interface Stage {
  readonly screen: Screen;
  readonly dataDir: string;
  readonly processes: Processes;
  readonly folder: string;
  readonly stop: AbortController;
}

async function perform(options: RunOptions, stage: Stage): Promise<Ending> {
  const { screen, processes, folder, dataDir, stop } = stage;
  let ending: Ending = "interrupted";
  try {
    const configPath = `${folder}/config.json`;
    Deno.writeTextFileSync(configPath, "{}\n");
    const cast = new Cast(processes, options);
    const story = new Story({ cast, screen, signal: stop.signal, configPath, dataDir });
    processes.onDeath = (name, how) => {
      if (story.isKept && name !== "distributor") screen.say(`  ${name} has ended (${how})`);
      else stop.abort(new DemoFault(`${name} ended by itself (${how})`));
    };
    introduce(screen, cast);
    const verdicts = await story.tell();
    if (!options.keep) screen.close();
    ending = conclude(screen, verdicts, story.elapsedSeconds) ? "held" : "failed";
    if (!options.keep) return ending;
    screen.say(describeCommands(cast));
    return await story.keep();
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    screen.close();
    screen.say("\nStopping.");
    return ending;
  }
}

function createScreen({ plain }: RunOptions, onGone: () => void): Screen {
  const encoder = new TextEncoder();
  const isTerminal = Deno.stdout.isTerminal();
  return new Screen({
    live: isTerminal && !plain && Deno.env.get("TERM") !== "dumb",
    color: isTerminal && !Deno.noColor,
    size: () => isTerminal ? readSize() : { columns: Infinity, rows: Infinity },
    write(text) {
      try {
        let rest = encoder.encode(text);
        while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
      } catch {
        // Whoever read it has left.
        onGone();
      }
    },
  });
}

/** A terminal that does not know its size, or has just gone, counts as an ordinary one. */
function readSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // See above.
  }
  return { columns: 80, rows: 24 };
}

interface Reactions {
  readonly interrupt: () => void;
  readonly fail: (reason: unknown) => void;
  readonly killAll: () => void;
}

/**
 * Listens to signals and to errors that nobody has caught: those must not leave processes behind.
 * The returned function ends it.
 */
function listen({ interrupt, fail, killAll }: Reactions): () => void {
  const ignoreSignals = onStopSignal(interrupt, () => {
    killAll();
    Deno.exit(1);
  });
  const hasHangup = Deno.build.os !== "windows";
  if (hasHangup) Deno.addSignalListener("SIGHUP", interrupt);
  const onStray = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    fail("reason" in event ? event.reason : event.error);
  };
  addEventListener("error", onStray);
  addEventListener("unhandledrejection", onStray);
  return () => {
    ignoreSignals();
    if (hasHangup) Deno.removeSignalListener("SIGHUP", interrupt);
    removeEventListener("error", onStray);
    removeEventListener("unhandledrejection", onStray);
  };
}

/** Only a fault of ours is worth a stack. */
function explain(error: unknown): string {
  if (error instanceof DemoFault) return error.message;
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

/** The last lines that each program wrote, and where all of them are. */
function describeFiles(folder: string): string {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".log")).sort();
  const tails = names.flatMap((name) => {
    const lines = Deno.readTextFileSync(`${folder}/${name}`).trimEnd().split("\n");
    return [`  ${name}`, ...lines.slice(-TAIL_LINES).map((line) => `    ${line}`)];
  });
  return ["", `What the programs wrote is in ${folder}; the last lines:`, ...tails].join("\n");
}
