/**
 * One program as a deployment starts it, tried out on this machine: the same words, the same
 * variables, and a folder laid out like the image's root.
 */

import { OPTIONS } from "../../src/config.ts";
import { flagName } from "../../src/flags.ts";
import { PROGRAMS } from "../../tools/programs.ts";
import { findTarget } from "../../tools/targets.ts";
import { readDockerfile, readPairs } from "./documents.ts";
import { type ProgramName, startProgram } from "./program.ts";

export interface Launch {
  readonly program: ProgramName;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What one target of the Dockerfile is, with what it takes over from the stages below it. */
export interface Stage {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly healthcheck: readonly string[];
  /** Where COPY puts something. */
  readonly copied: readonly string[];
}

const NOTHING: Stage = {
  entrypoint: [],
  command: [],
  env: {},
  user: "root",
  workdir: "/",
  volumes: [],
  ports: [],
  healthcheck: [],
  copied: [],
};

/** The stages of the Dockerfile by name, in their order. */
export function readStages(): Map<string, Stage> {
  const stages = new Map<string, Stage>();
  let name = "";
  for (const { word, rest } of readDockerfile("Dockerfile")) {
    if (word === "FROM") {
      const [, from, as] = /(?:--platform=\S+ )?(\S+) AS (\S+)$/.exec(rest)!;
      name = as!;
      stages.set(name, stages.get(from!) ?? NOTHING);
    } else if (name !== "") stages.set(name, follow(stages.get(name)!, word, rest));
  }
  return stages;
}

function follow(stage: Stage, ...[word, rest]: [word: string, rest: string]): Stage {
  const list = () => JSON.parse(rest.slice(rest.indexOf("["))) as string[];
  switch (word) {
    case "ENTRYPOINT":
      return { ...stage, entrypoint: list(), command: [] };
    case "CMD":
      return { ...stage, command: list() };
    case "ENV":
      return { ...stage, env: { ...stage.env, ...readPairs(rest) } };
    case "USER":
      return { ...stage, user: rest };
    case "WORKDIR":
      return { ...stage, workdir: rest };
    case "VOLUME":
      return { ...stage, volumes: list() };
    case "EXPOSE":
      return { ...stage, ports: [rest] };
    case "HEALTHCHECK":
      return { ...stage, healthcheck: list() };
    case "COPY":
      return { ...stage, copied: [...stage.copied, rest.split(" ").at(-1)!] };
    default:
      return stage;
  }
}

/** The program behind a path such as `/usr/local/bin/analyzer`. */
export function programAt(path: string): ProgramName {
  const name = path.split("/").at(-1)!;
  if (!(name in PROGRAMS)) throw new Error(`There is no program at ${path}`);
  return name as ProgramName;
}

/** What a container of a stage runs, with a command and variables of its own. */
export function launchOf(
  stage: Stage,
  { args, env = {} }: { args?: readonly string[]; env?: Readonly<Record<string, string>> },
): Launch {
  const [path, ...fixed] = stage.entrypoint;
  return {
    program: programAt(path!),
    args: [...fixed, ...(args ?? stage.command)],
    env: { ...stage.env, ...env },
  };
}

/** A folder like the image's root: what is at `/data` there is in `data` here. */
export class ImageRoot implements Disposable {
  readonly path = Deno.realPathSync(Deno.makeTempDirSync());

  constructor(configFile: URL) {
    Deno.mkdirSync(`${this.path}/data`);
    Deno.mkdirSync(`${this.path}/config`);
    Deno.copyFileSync(configFile, `${this.path}/config/config.json`);
  }

  /** The same text with the image's folders replaced by those in here. */
  localize(text: string): string {
    return text.replace(/(^|=)\/(data|config)(?=\/|$)/, `$1${this.path}/$2`);
  }

  launch({ program, args, env }: Launch): Launch {
    return {
      program,
      args: args.map((arg) => this.localize(arg)),
      env: Object.fromEntries(Object.entries(env).map(([key, text]) => [key, this.localize(text)])),
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** What a program makes of a command line: its effective values, or its usage. */
export async function tryOut(
  launch: Launch,
  root: ImageRoot,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { program, args, env } = root.launch(launch);
  const question = program === "distributor" ? "--print-config" : "--help";
  await using running = startProgram(program, [...args, question], {
    env: { ...env },
    cwd: root.path,
    clearEnv: true,
  });
  const { code } = await running.exits();
  return { code, stdout: running.stdout.join("\n"), stderr: running.stderr.join("\n") };
}

/** The distributor's effective values and where each came from: `{ workers: "10 (default)" }`. */
export async function effectiveOptions(
  launch: Launch,
  root: ImageRoot,
): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await tryOut(launch, root);
  if (code !== 0) throw new Error(`${launch.args.join(" ")}: ${stderr}`);
  return Object.fromEntries(
    stdout.split("\n").map((line) => line.split(" = ") as [string, string]),
  );
}

/** The variables that are no option's: a slip of the pen would else go unseen. */
export function unknownVariables(env: Readonly<Record<string, string>>): string[] {
  const known = new Set(
    [...Object.keys(OPTIONS), "config"].map((key) =>
      `DISTRIBUTOR_${flagName(key).replaceAll("-", "_").toUpperCase()}`
    ),
  );
  return Object.keys(env).filter((name) => !known.has(name));
}

/** Whether the executable for Linux may read, or write, what is at a path. */
export function isPermitted(path: string, access: "read" | "write"): boolean {
  const flags = PROGRAMS.distributor.permissions(findTarget("linux-amd64")!);
  const folders = flags.find((flag) => flag.startsWith(`--allow-${access}=`))!.split("=")[1]!;
  return folders.split(",").some((folder) => path === folder || path.startsWith(`${folder}/`));
}
