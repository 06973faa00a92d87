/**
 * Makes executables of the three programs: `deno task compile [PROGRAM…] [--target NAME]`.
 *
 * `deno compile` puts a program behind a bare runtime, `denort`, which it downloads. Where it
 * cannot, DENORT_BIN names one, and DENO_COMPILE the Deno that goes with it.
 */

import { UsageError } from "../src/errors.ts";
import { describeFlags, type OptionTable, parseFlags } from "../src/flags.ts";
import {
  findProgramPackages,
  type Imports,
  type Lock,
  packageOf,
  sealImports,
  trimLock,
} from "./packages.ts";
import { PROGRAM_NAMES, type ProgramBuild, type ProgramName, PROGRAMS } from "./programs.ts";
import { findTarget, platformOf, type Target, TARGETS } from "./targets.ts";

export const ROOT = new URL("../", import.meta.url);
const decoder = new TextDecoder();

const OPTIONS = {
  target: {
    kind: "string",
    help: "platform, as a name such as linux-arm64 or as Deno's triple; all means every one " +
      "(default this machine's)",
  },
  output: { kind: "string", default: "dist", help: "folder; a named target gets one in it" },
  commit: { kind: "string", help: "commit to bake in (default what git says)" },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

const USAGE = `Usage: deno task compile [flags] [distributor] [analyzer] [generator]

${describeFlags(OPTIONS)}

Targets: ${TARGETS.map(({ name, triple }) => `${name} (${triple})`).join(", ")}`;

export interface CompileOptions {
  readonly target: Target;
  /** Folder that the executable goes to. */
  readonly folder: string;
  /** Empty when nobody knows it. */
  readonly commit: string;
}

/** An executable that could not be made, and why. */
export class CompileError extends Error {
  override name = "CompileError";
}

/** This machine's. */
export function hostTarget(): Target {
  return findTarget(Deno.build.target)!;
}

/** The commit of the sources, with `-dirty` if they differ from it; empty without git. */
export async function readCommit(): Promise<string> {
  const args = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
  try {
    const { success, stdout } = await new Deno.Command("git", { args, cwd: ROOT }).output();
    return success ? decoder.decode(stdout).trim() : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/**
 * Makes one executable and returns its path.
 *
 * @throws {CompileError}
 */
export async function compileProgram(
  name: ProgramName,
  { target, folder, commit }: CompileOptions,
): Promise<string> {
  const output = `${folder}/${name}${target.suffix}`;
  await compileEntry(PROGRAMS[name], { name, target, output, commit });
  return output;
}

/**
 * Makes an executable of any module of the project, with the flags that its build gives.
 *
 * @throws {CompileError}
 */
export async function compileEntry(
  build: ProgramBuild,
  { name, target, output, commit }: {
    readonly name: string;
    readonly target: Target;
    readonly output: string;
    readonly commit: string;
  },
): Promise<void> {
  refuseOtherRuntime(target);
  const scratch = `dist/build/${target.name}/${name}/`;
  await writeScratch(scratch, commit);
  const { success, stderr } = await new Deno.Command(findCompiler(), {
    args: [
      ...["compile", "--quiet", "--no-check", "--no-prompt"],
      // Nothing is written outside the folders that it may write to.
      "--no-code-cache",
      ...build.permissions(target),
      ...build.flags,
      `--config=${scratch}deno.json`,
      `--import-map=${scratch}import_map.json`,
      `--lock=${scratch}deno.lock`,
      "--frozen",
      `--preload=${scratch}build.js`,
      `--target=${target.triple}`,
      `--output=${output}`,
      build.entry,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  await Deno.remove(new URL(scratch, ROOT), { recursive: true });
  if (!success) throw new CompileError(explain(decoder.decode(stderr), target));
}

/** What goes into an executable beside its sources: the commit, its packages, and no others. */
async function writeScratch(scratch: string, commit: string): Promise<void> {
  const { imports, ranges, lock, base } = await readProgramPackages();
  const root = "../".repeat(scratch.split("/").length - 1);
  const sealed = sealImports(imports, { root, base: root + base });
  const files = {
    // Of the same ranges as the lock: else Deno would take the lock for outdated.
    "deno.json": JSON.stringify({ imports: ranges }),
    "import_map.json": JSON.stringify({ imports: sealed }),
    "deno.lock": JSON.stringify(lock),
    "build.js": `globalThis.DISTRIBUTOR_BUILD = ${JSON.stringify({ commit })};\n`,
  };
  await Deno.mkdir(new URL(scratch, ROOT), { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    await Deno.writeTextFile(new URL(scratch + file, ROOT), text);
  }
}

/** What the programs are made of, in the profile that is in force. */
export interface ProgramPackages {
  /** As the sources name them. */
  readonly imports: Imports;
  /** The folder that paths in `imports` start from. */
  readonly base: string;
  /** As deno.json has them. */
  readonly ranges: Imports;
  /** The part of the lock that is theirs. */
  readonly lock: Lock;
}

export async function readProgramPackages(): Promise<ProgramPackages> {
  const config = JSON.parse(await readText("deno.json"));
  const mapPath = profileFlag("import-map");
  const all: Imports = mapPath ? JSON.parse(await readText(mapPath)).imports : config.imports;
  const used = findProgramPackages(ROOT, config.imports);
  const keep = (some: Imports): Imports =>
    Object.fromEntries(Object.entries(some).filter(([key]) => used.has(packageOf(key))));
  const imports = keep(all);
  const ranges = keep(config.imports);
  const lock: Lock = JSON.parse(await readText(profileFlag("lock") ?? "deno.lock"));
  const locked = Object.values(imports).filter((target) => target in lock.specifiers);
  return {
    imports,
    base: (mapPath ?? "").replace(/[^/]*$/, ""),
    ranges,
    lock: trimLock(lock, { ranges: locked, workspace: Object.values(ranges) }),
  };
}

/** What denow chose, such as `npm_only/import_map.json`. */
function profileFlag(name: "import-map" | "lock"): string | undefined {
  return new RegExp(`--${name}=(\\S+)`).exec(Deno.env.get("DENO_PROFILE") ?? "")?.[1];
}

async function readText(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** The Deno that compiles, which says what runtime is embedded. */
export function findCompiler(): string {
  return Deno.env.get("DENO_COMPILE") || Deno.execPath();
}

/** DENORT_BIN is taken for every target: what it holds must be the one asked for. */
function refuseOtherRuntime(target: Target): void {
  const path = Deno.env.get("DENORT_BIN");
  if (!path) return;
  let platform: string | undefined;
  try {
    using file = Deno.openSync(path);
    const head = new Uint8Array(1024);
    file.readSync(head);
    platform = platformOf(head);
  } catch (error) {
    throw new CompileError(`Cannot read DENORT_BIN: ${(error as Error).message}`);
  }
  if (platform === target.name) return;
  throw new CompileError(
    `DENORT_BIN is a runtime for ${platform ?? "no platform we know"}, not for ${target.name}`,
  );
}

/** What Deno said, and what helps where it is the download that failed. */
export function explain(stderr: string, target: Target): string {
  if (!/denort|base binary|dl\.deno\.land/i.test(stderr)) return stderr.trim();
  const reason = /error sending request.*|404.*|.*denort.*/.exec(stderr)?.[0] ?? stderr.trim();
  return `Cannot get the runtime that \`deno compile\` embeds, denort for ${target.name}: ` +
    `${reason.trim()}\nLet this machine reach that address, or name the runtime with DENORT_BIN ` +
    "and the Deno of the same release line with DENO_COMPILE";
}

interface Request {
  readonly names: readonly ProgramName[];
  readonly targets: readonly Target[];
  readonly folderOf: (target: Target) => string;
  readonly commit: string | undefined;
}

function readRequest(args: readonly string[]): Request | undefined {
  const { values, words } = parseFlags(args, OPTIONS);
  if (values.help) return undefined;
  for (const word of words) {
    if (!PROGRAM_NAMES.some((name) => name === word)) {
      throw new UsageError(`There is no program ${word}: allowed are ${PROGRAM_NAMES.join(", ")}`);
    }
  }
  const one = values.target === undefined ? hostTarget() : findTarget(values.target);
  if (values.target !== "all" && one === undefined) {
    const names = TARGETS.map(({ name }) => name).join(", ");
    throw new UsageError(`There is no target ${values.target}: allowed are all, ${names}`);
  }
  return {
    names: words.length > 0 ? words as ProgramName[] : PROGRAM_NAMES,
    targets: values.target === "all" ? TARGETS : [one!],
    folderOf: ({ name }) =>
      values.target === undefined ? values.output : `${values.output}/${name}`,
    commit: values.commit,
  };
}

/** Compiles what was asked for; what fails is said, and the rest is still made. */
async function main(args: readonly string[]): Promise<number> {
  const request = readRequest(args);
  if (!request) {
    console.log(USAGE);
    return 0;
  }
  const commit = request.commit ?? await readCommit();
  let failures = 0;
  for (const target of request.targets) {
    try {
      for (const name of request.names) {
        const path = await compileProgram(name, {
          target,
          folder: request.folderOf(target),
          commit,
        });
        console.log(`${path} ${(Deno.statSync(path).size / 1e6).toFixed(1)} MB`);
      }
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      console.error(error.message);
      failures++;
    }
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
