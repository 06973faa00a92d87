/**
 * The packages of the project: which of them the programs are made of, and which only its tests.
 *
 * What the programs import decides, not a list: tests and tools may import anything.
 */

export type Imports = Readonly<Record<string, string>>;

/** The parts of a lock file, version 5, that matter here. */
export interface Lock {
  readonly version: string;
  /** Range, such as `jsr:@std/cli@^1.0.32`, to the version it resolves to. */
  readonly specifiers: Readonly<Record<string, string>>;
  readonly jsr?: Readonly<Record<string, LockedPackage>>;
  readonly npm?: Readonly<Record<string, LockedPackage>>;
  readonly workspace?: { readonly dependencies: readonly string[] };
}

export interface LockedPackage {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
}

const PROGRAM_SOURCES = ["main.ts", "src", "analyzers", "generator"];

/** `@std/cli/parse-args` → `@std/cli`, `yaml/x` → `yaml`. */
export function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The names, as deno.json has them, of the packages that the programs import. */
export function findProgramPackages(root: URL, imports: Imports): Set<string> {
  const found = new Set<string>();
  for (const text of readSources(root, PROGRAM_SOURCES)) {
    for (const [, specifier] of text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      const name = packageOf(specifier!);
      if (name in imports) found.add(name);
    }
  }
  return found;
}

function* readSources(root: URL, paths: readonly string[]): Generator<string> {
  for (const path of paths) {
    const url = new URL(path, root);
    if (path.endsWith(".ts")) yield Deno.readTextFileSync(url);
    else if (Deno.statSync(url).isDirectory) {
      yield* readSources(root, [...Deno.readDirSync(url)].map(({ name }) => `${path}/${name}`));
    }
  }
}

/** The lock of `workspace`, the ranges of a deno.json, with only what `ranges` lead to. */
export function trimLock(
  lock: Lock,
  { ranges, workspace }: { ranges: readonly string[]; workspace: readonly string[] },
): Lock {
  const kept = { jsr: new Set<string>(), npm: new Set<string>() };
  const specifiers: Record<string, string> = {};
  const queue = [...ranges];
  for (let range = queue.pop(); range !== undefined; range = queue.pop()) {
    const kind = range.startsWith("npm:") ? "npm" : "jsr";
    const [exact, version] = resolve(lock, range);
    if (version !== undefined) {
      specifiers[range.includes(":") ? exact : `${kind}:${exact}`] = version;
    }
    const id = version === undefined ? exact : `${nameOf(exact)}@${version}`;
    if (kept[kind].has(id)) continue;
    const found = lock[kind]?.[id];
    if (!found) continue;
    kept[kind].add(id);
    for (const next of found.dependencies ?? []) {
      queue.push(next.includes(":") ? next : `${kind}:${next}`);
    }
  }
  const pick = (kind: "jsr" | "npm") =>
    Object.fromEntries(Object.entries(lock[kind] ?? {}).filter(([id]) => kept[kind].has(id)));
  return {
    version: lock.version,
    specifiers: sorted(specifiers),
    jsr: pick("jsr"),
    npm: pick("npm"),
    workspace: { dependencies: workspace.toSorted() },
  };
}

/** The range as `specifiers` has it, with its version; or what names a package directly. */
function resolve(lock: Lock, range: string): [exact: string, version?: string] {
  const version = lock.specifiers[range];
  if (version !== undefined) return [range, version];
  // `jsr:@std/io`, when there is one version of it alone.
  const one = Object.keys(lock.specifiers).find((known) => known.startsWith(`${range}@`));
  if (one) return [one, lock.specifiers[one]!];
  const bare = range.replace(/^(npm|jsr):/, "");
  const id = Object.keys({ ...lock.npm, ...lock.jsr })
    .find((known) => known === bare || known.startsWith(`${bare}@`));
  return [id ?? bare];
}

/** `jsr:@std/cli@^1.0.32` → `@std/cli`. */
function nameOf(range: string): string {
  return range.replace(/^(npm|jsr):\/?/, "").replace(/(?<=.)@[^@]*$/, "");
}

function sorted(record: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1));
}

/**
 * An import map that keeps an executable to its own modules.
 *
 * A compiled program may `import()` any file there is, whatever --allow-read says: here a file
 * outside `root` is mapped to one that is not there. Longer keys win, so `root` stays as it is.
 *
 * @param imports of deno.json or of an import map
 * @param paths `root` and `base`, from where the map will be to the project and to the folder that
 *   its own paths are relative to
 */
export function sealImports(imports: Imports, paths: { root: string; base: string }): Imports {
  const sealed: Record<string, string> = {};
  for (const [name, target] of Object.entries(imports)) {
    if (target.startsWith("./")) sealed[name] = paths.base + target.slice(2);
    else {
      sealed[name] = target;
      // What deno.json implies, and an import map has to say.
      const isPackage = /^(jsr|npm):[^/]/.test(target) && !name.endsWith("/");
      if (isPackage) sealed[`${name}/`] ??= `${target.replace(":", ":/")}/`;
    }
  }
  return { ...sealed, [paths.root]: paths.root, "file:///": "file:///nowhere/" };
}
