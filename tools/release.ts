/**
 * Makes the files of a release in dist/release: `deno task release [--dry-run]`.
 *
 * Archives of the executables, checksums, bill of materials, notes and an installer. Nothing is
 * uploaded: .github/workflows/release.yml does that. A dry run makes all that can be made here.
 */

import { UsageError } from "../src/errors.ts";
import { describeFlags, type OptionTable, parseFlags } from "../src/flags.ts";
import { VERSION } from "../src/version.ts";
import {
  CompileError,
  compileProgram,
  findCompiler,
  readCommit,
  readProgramPackages,
  ROOT,
} from "./compile.ts";
import { PROGRAM_NAMES } from "./programs.ts";
import { makeSbom } from "./sbom.ts";
import { type Target, TARGETS } from "./targets.ts";

const FOLDER = "dist/release";
/** What is in an archive beside the programs. */
const EXTRAS = ["LICENSE", "README.md", "CHANGELOG.md", "deploy/systemd/distributor.service"];
const decoder = new TextDecoder();

const OPTIONS = {
  dryRun: {
    kind: "boolean",
    default: "false",
    help: "make what can be made here, whatever the tree and its tag are",
  },
  url: {
    kind: "url",
    help: "where the files will be, which install.sh then knows by itself",
  },
  help: { kind: "boolean", default: "false", help: "print this and exit" },
} as const satisfies OptionTable;

/** The part of a changelog that is about one version; undefined when there is none. */
export function findNotes(changelog: string, version: string): string | undefined {
  const parts = changelog.split(/^## /m).slice(1);
  return parts.find((part) => part.split(/\s/, 1)[0] === version)?.replace(/^.*\n/, "").trim();
}

/** The installer that knows where its release is. */
export function bindInstaller(script: string, url: string): string {
  return script.replace(
    "from=${DISTRIBUTOR_RELEASE_URL:-}",
    `from=\${DISTRIBUTOR_RELEASE_URL:-${url}}`,
  );
}

/** What keeps the tree from being released as this version. */
export function findObstacles(facts: {
  readonly version: string;
  readonly tags: readonly string[];
  readonly commit: string;
}): string[] {
  const { version, tags, commit } = facts;
  return [
    tags.includes(`v${version}`) ? "" : `the commit has no tag v${version}`,
    commit.endsWith("-dirty") ? "the tree differs from its commit" : "",
    commit === "" ? "git does not know the commit" : "",
  ].filter(Boolean);
}

async function capture(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
  }).output();
  if (!success) throw new CompileError(`${command} ${args[0]}: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout).trim();
}

/** Compiles the programs for one platform and packs them; returns the archive's name. */
async function makeArchive(target: Target, commit: string): Promise<string> {
  const folder = `dist/${target.name}`;
  for (const name of PROGRAM_NAMES) await compileProgram(name, { target, folder, commit });
  for (const path of EXTRAS) {
    const file = path.split("/").at(-1)!;
    await Deno.copyFile(new URL(path, ROOT), new URL(`${folder}/${file}`, ROOT));
  }
  const archive = `distributor-${VERSION}-${target.name}.tar.gz`;
  const files = [
    ...PROGRAM_NAMES.map((name) => name + target.suffix),
    ...EXTRAS.map((path) => path.split("/").at(-1)!),
  ];
  await capture("tar", ["-czf", `${FOLDER}/${archive}`, "-C", folder, ...files]);
  return archive;
}

/** Makes what can be made; returns why the rest could not. */
async function makeArchives(commit: string): Promise<string[]> {
  const missing: string[] = [];
  for (const target of TARGETS) {
    try {
      console.log(`${FOLDER}/${await makeArchive(target, commit)}`);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      missing.push(`${target.name}: ${error.message.split("\n")[0]}`);
    }
  }
  return missing;
}

async function writeDocuments(notes: string, url: string | undefined): Promise<void> {
  const [, denoVersion = ""] = /^deno (\S+)/.exec(await capture(findCompiler(), ["--version"])) ??
    [];
  const { lock } = await readProgramPackages();
  const sbom = makeSbom(lock, { version: VERSION, denoVersion });
  const script = await Deno.readTextFile(new URL("install.sh", ROOT));
  const files = {
    [`distributor-${VERSION}.cdx.json`]: `${JSON.stringify(sbom, null, 2)}\n`,
    "NOTES.md": `${notes}\n`,
    "install.sh": url ? bindInstaller(script, url) : script,
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(new URL(`${FOLDER}/${name}`, ROOT), text);
    console.log(`${FOLDER}/${name}`);
  }
}

/** As `sha256sum -c` reads it. */
async function writeChecksums(): Promise<void> {
  const names = [...Deno.readDirSync(new URL(FOLDER, ROOT))].map(({ name }) => name).toSorted();
  const lines: string[] = [];
  for (const name of names) {
    const bytes = await Deno.readFile(new URL(`${FOLDER}/${name}`, ROOT));
    lines.push(
      `${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()}  ${name}\n`,
    );
  }
  await Deno.writeTextFile(new URL(`${FOLDER}/SHA256SUMS`, ROOT), lines.join(""));
  console.log(`${FOLDER}/SHA256SUMS`);
}

async function main(args: readonly string[]): Promise<number> {
  const { values, words } = parseFlags(args, OPTIONS);
  if (words.length > 0) throw new UsageError(`Unexpected argument ${words[0]}: see --help`);
  if (values.help) {
    console.log(`Usage: deno task release [flags]\n\n${describeFlags(OPTIONS)}`);
    return 0;
  }
  const notes = findNotes(await Deno.readTextFile(new URL("CHANGELOG.md", ROOT)), VERSION);
  if (!notes) throw new CompileError(`CHANGELOG.md says nothing of ${VERSION}`);
  const commit = await readCommit();
  const tags = (await capture("git", ["tag", "--points-at", "HEAD"])).split("\n");
  const obstacles = findObstacles({ version: VERSION, tags, commit });
  if (obstacles.length > 0 && !values.dryRun) {
    throw new CompileError(`Cannot release ${VERSION}: ${obstacles.join("; ")}`);
  }
  await Deno.remove(new URL(FOLDER, ROOT), { recursive: true }).catch(() => {});
  await Deno.mkdir(new URL(FOLDER, ROOT), { recursive: true });
  const missing = await makeArchives(commit);
  await writeDocuments(notes, values.url);
  await writeChecksums();
  for (const reason of missing) console.error(`not made: ${reason}`);
  for (const obstacle of obstacles) console.error(`would not be released: ${obstacle}`);
  return missing.length === 0 || values.dryRun && missing.length < TARGETS.length ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof CompileError)) throw error;
    console.error(error.message);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}
