/**
 * Watches over the two profiles: deno.json with deno.lock (JSR), and npm_only/.
 *
 * Where the ranges of deno.json and deno.lock differ, or an npm entry is missing, Deno silently
 * rewrites deno.lock and drops its JSR hashes; these tests fail first and say what to do.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Lock, mergeLocks } from "../npm_only/merge_lock.ts";

const ROOT = new URL("../", import.meta.url);

/** Of the JSR part of deno.lock. Replace it when a range in deno.json has moved on purpose. */
const JSR_PART_SHA256 = "40387f0da8ad9631146a6d75422d2f3500079f0e24756b7e7fc978300c7f05c4";

function readText(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

const config: { imports: Record<string, string> } = JSON.parse(readText("deno.json"));
const importMap: { imports: Record<string, string> } = JSON.parse(
  readText("npm_only/import_map.json"),
);
const lock: Lock = JSON.parse(readText("deno.lock"));
const npmLock: Lock = JSON.parse(readText("npm_only/deno.lock"));

/** `@std/cli/parse-args` → `@std/cli`, `zod/v4` → `zod`. */
function packageOf(name: string): string {
  return name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/");
}

async function sha256(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex();
}

Deno.test("deno.lock has exactly the ranges of deno.json", () => {
  const ranges = Object.values(config.imports).toSorted();
  assertEquals(lock.workspace?.dependencies, ranges);
  for (const range of ranges) assert(lock.specifiers[range], `deno.lock resolves no ${range}`);
});

Deno.test("deno.lock keeps its JSR part, hashes included", async () => {
  const specifiers = Object.fromEntries(
    Object.entries(lock.specifiers).filter(([range]) => range.startsWith("jsr:")),
  );
  const digest = await sha256(JSON.stringify({ specifiers, jsr: lock.jsr }));
  assertEquals(digest, JSR_PART_SHA256, "Restore the JSR part of deno.lock");
  for (const [name, { integrity }] of Object.entries(lock.jsr ?? {})) {
    assertMatch(integrity, /^[0-9a-f]{64}$/, name);
  }
});

Deno.test("deno.lock has the npm part of npm_only/deno.lock", () => {
  const ranges: string[] = Object.values(config.imports);
  assertEquals(lock.workspace?.dependencies, ranges.toSorted(), "Run ./denow task lock");
  for (const range of ranges) assert(range in lock.specifiers, `${range}: run ./denow task lock`);
  // Deno may have dropped from the npm lock what the last program that ran did not need.
  const known = { specifiers: { ...lock.specifiers, ...npmLock.specifiers } };
  const npm = { ...lock.npm, ...npmLock.npm };
  const merged = mergeLocks(lock, { ...npmLock, ...known, npm }, { ranges });
  assertEquals(lock, merged, "Run ./denow task lock");
  for (const [name, { integrity }] of Object.entries(lock.npm ?? {})) {
    assertMatch(integrity, /^sha512-/, name);
  }
});

Deno.test("deno run leaves deno.lock as it is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(new URL(name, ROOT), `${folder}/${name}`);
    }
    await Deno.writeTextFile(`${folder}/main.ts`, "");
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "main.ts"],
      cwd: folder,
    }).output();
    assert(success);
    assertEquals(await Deno.readTextFile(`${folder}/deno.lock`), readText("deno.lock"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("npm_only/import_map.json maps exactly the packages of deno.json", () => {
  const mapped = new Set(Object.keys(importMap.imports).map(packageOf));
  assertEquals([...mapped].toSorted(), Object.keys(config.imports).toSorted());
});

Deno.test("npm_only/import_map.json takes npm packages of deno.json as they are", () => {
  for (const [name, target] of Object.entries(config.imports)) {
    if (!target.startsWith("npm:")) continue;
    assertEquals(importMap.imports[name], target, "An npm package is the same in both profiles");
  }
});

Deno.test("npm_only/import_map.json maps to stand-ins that exist and to exact versions", () => {
  for (const [name, target] of Object.entries(importMap.imports)) {
    if (target.startsWith("npm:")) {
      assertMatch(target, /^npm:\/?(@[^/]+\/)?[^/@]+@\d+\.\d+\.\d+\/?$/, name);
    } else {
      assert(readText(`npm_only/${target}`), name);
    }
  }
});

Deno.test("npm_only/import_map.json has Hono's npm twin in the version of deno.lock", () => {
  const version = lock.specifiers[config.imports["@hono/hono"]!];
  assertEquals(importMap.imports["@hono/hono"], `npm:hono@${version}`);
  assertEquals(importMap.imports["@hono/hono/"], `npm:/hono@${version}/`);
});

const SOURCES = ["main.ts", "src", "analyzers", "generator", "demo", "bench", "tests"];

function* listSources(path: string): Generator<string> {
  const stat = Deno.statSync(new URL(path, ROOT));
  if (stat.isFile && path.endsWith(".ts")) yield path;
  if (!stat.isDirectory) return;
  for (const { name } of Deno.readDirSync(new URL(path, ROOT))) {
    yield* listSources(`${path}/${name}`);
  }
}

function listImports(source: string): string[] {
  const pattern =
    /^(?:import|export)\b[^;"'=(]*\bfrom\s+["'](.+?)["']|^import\s+["'](.+?)["']|\bimport\(\s*["'](.+?)["']/gm;
  return [...source.matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

function isMapped(name: string): boolean {
  const { imports } = importMap;
  return name in imports ||
    Object.keys(imports).some((key) => key.endsWith("/") && name.startsWith(key));
}

Deno.test("every import of the sources is there in both profiles", () => {
  const present = new Set([...Deno.readDirSync(ROOT)].map(({ name }) => name));
  let bareImports = 0;
  for (
    const path of SOURCES.filter((name) => present.has(name)).flatMap((
      name,
    ) => [...listSources(name)])
  ) {
    for (const name of listImports(readText(path))) {
      if (name.startsWith(".") || name.startsWith("node:")) continue;
      bareImports++;
      assert(packageOf(name) in config.imports, `${path}: deno.json does not map ${name}`);
      assert(isMapped(name), `${path}: npm_only/import_map.json does not map ${name}`);
    }
  }
  assert(bareImports > 0);
});
