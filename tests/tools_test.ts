/** The tools that make executables and releases, as far as they need no runtime to embed. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };
import { VERSION } from "../src/version.ts";
import { explain, hostTarget } from "../tools/compile.ts";
import { findProgramPackages, type Lock, sealImports, trimLock } from "../tools/packages.ts";
import { PROGRAM_NAMES, PROGRAMS } from "../tools/programs.ts";
import { bindInstaller, findNotes, findObstacles } from "../tools/release.ts";
import { makeSbom } from "../tools/sbom.ts";
import { findTarget, platformOf, TARGETS } from "../tools/targets.ts";
import { readText, readYaml, type Yaml } from "./support/documents.ts";

const ROOT = new URL("../", import.meta.url);
const lock: Lock = JSON.parse(readText("deno.lock"));

Deno.test("targets are those of Linux, macOS and Windows, found by name and by triple", () => {
  assertEquals(TARGETS.length, 6);
  for (const target of TARGETS) {
    assertEquals([findTarget(target.name), findTarget(target.triple)], [target, target]);
  }
  assertEquals(findTarget("solaris"), undefined);
});

/** The start of an executable, as the formats have it. */
function makeHead(magic: number[], ...[offset, machine]: [offset: number, machine: number]) {
  const head = new Uint8Array(256);
  head.set(magic);
  new DataView(head.buffer).setUint32(offset, machine, true);
  return head;
}

Deno.test("targets.platformOf() tells a runtime's platform from its first bytes", () => {
  const pe = makeHead([0x4d, 0x5a], 128 + 4, 0xaa64);
  new DataView(pe.buffer).setUint32(60, 128, true);
  const rows: [platform: string | undefined, head: Uint8Array][] = [
    ["linux-amd64", makeHead([0x7f, 0x45, 0x4c, 0x46], 16, 62 << 16 | 3)],
    ["linux-arm64", makeHead([0x7f, 0x45, 0x4c, 0x46], 16, 183 << 16 | 3)],
    ["macos-arm64", makeHead([0xcf, 0xfa, 0xed, 0xfe], 4, 0x0100000c)],
    ["windows-arm64", pe],
    [undefined, makeHead([0x23, 0x21], 4, 0)],
    [undefined, new Uint8Array(2)],
  ];
  for (const [platform, head] of rows) assertEquals(platformOf(head), platform);
  using file = Deno.openSync(Deno.execPath());
  const head = new Uint8Array(1024);
  file.readSync(head);
  assertEquals(platformOf(head), hostTarget().name);
});

Deno.test("programs may do no more in executables than their tasks allow", () => {
  const tasks = { distributor: "start", analyzer: "analyzer", generator: "generator" } as const;
  for (const name of PROGRAM_NAMES) {
    const { entry, permissions } = PROGRAMS[name];
    const task = denoConfig.tasks[tasks[name]].command.replaceAll("'", "").split(" ");
    assert(task.includes(entry), name);
    for (const target of TARGETS) {
      for (const flag of permissions(target)) {
        assertMatch(flag, /^--allow-(net|read=.+|write=.+|env=DISTRIBUTOR_\*,OTEL_DENO)$/);
        assert(task.some((word) => word.split("=")[0] === flag.split("=")[0]), `${name} ${flag}`);
        if (target.name.startsWith("windows")) assert(!flag.includes("/"), flag);
      }
    }
  }
});

Deno.test("compile says what helps where the runtime cannot be had, and else what Deno said", () => {
  const said =
    "0: Setting up base binary.\n1: error sending request for url (https://a/denort.zip)";
  const words = explain(said, hostTarget());
  for (const word of ["Cannot get the runtime", hostTarget().name, "https://a", "DENORT_BIN"]) {
    assertStringIncludes(words, word);
  }
  assertEquals(explain("error: Module not found\n", hostTarget()), "error: Module not found");
});

Deno.test("packages.trimLock() keeps what the programs import, what that needs, and no more", () => {
  const used = findProgramPackages(ROOT, denoConfig.imports);
  assert(used.has("@hono/hono") && used.has("@std/cli"), [...used].join());
  assert(!used.has("yaml") && !used.has("@std/assert"), [...used].join());
  const ranges = Object.entries(denoConfig.imports)
    .filter(([name]) => used.has(name)).map(([, range]) => range);
  const trimmed = trimLock(lock, { ranges, workspace: ranges });
  const names = Object.keys(trimmed.jsr!).map((id) => id.slice(0, id.lastIndexOf("@")));
  for (const name of ["@hono/hono", "@std/cli", "@std/internal", "@std/fmt", "@std/io"]) {
    assert(names.includes(name), name);
  }
  assert(!names.includes("@std/assert"));
  assertEquals(Object.keys(trimmed.npm!).filter((id) => id.startsWith("yaml@")), []);
  for (const [id, one] of Object.entries(trimmed.jsr!)) assertEquals(one, lock.jsr![id]);
  for (const [range, version] of Object.entries(trimmed.specifiers)) {
    assertEquals(version, lock.specifiers[range]);
  }
  assertEquals(trimmed.workspace, { dependencies: ranges.toSorted() });
});

Deno.test("packages.sealImports() shuts out every file but the project's", () => {
  const paths = { root: "../../", base: "../../npm_only/" };
  assertEquals(sealImports({ "a": "./std/a.ts", "b": "npm:b@1.0.0", "c/": "npm:/c@1/" }, paths), {
    "a": "../../npm_only/std/a.ts",
    "b": "npm:b@1.0.0",
    "b/": "npm:/b@1.0.0/",
    "c/": "npm:/c@1/",
    "../../": "../../",
    "file:///": "file:///nowhere/",
  });
});

Deno.test("the programs import nothing whose name is made up as they run", () => {
  for (const path of ["main.ts", "src", "analyzers", "generator"].flatMap(listSources)) {
    assert(!/\bimport\(\s*[^"\s]|\beval\(|\bnew Function\(/.test(readText(path)), path);
  }
});

function listSources(path: string): string[] {
  if (!Deno.statSync(new URL(path, ROOT)).isDirectory) return path.endsWith(".ts") ? [path] : [];
  return [...Deno.readDirSync(new URL(path, ROOT))].flatMap(({ name }) =>
    listSources(`${path}/${name}`)
  );
}

Deno.test("sbom names each package of the lock once, with its version and hash", () => {
  // deno-lint-ignore no-explicit-any
  const sbom: any = makeSbom(lock, { version: VERSION, denoVersion: "2.9.6" });
  assertEquals([sbom.bomFormat, sbom.specVersion], ["CycloneDX", "1.6"]);
  const refs = sbom.components.map((one: { "bom-ref": string }) => one["bom-ref"]);
  assertEquals(refs.length, 1 + Object.keys({ ...lock.jsr, ...lock.npm }).length);
  assertEquals(new Set(refs).size, refs.length);
  assert(refs.includes("pkg:jsr/%40hono/hono@4.12.30") && refs.includes("pkg:generic/deno@2.9.6"));
  for (const { purl, hashes, properties } of sbom.components) {
    if (purl.startsWith("pkg:npm/")) assertMatch(hashes[0].content, /^[0-9a-f]{128}$/);
    if (purl.startsWith("pkg:jsr/")) assertMatch(properties[0].value, /^[0-9a-f]{64}$/);
  }
  assertEquals(sbom.dependencies[0].dependsOn, refs);
});

Deno.test("release takes the notes of its version, and CHANGELOG.md has some for this one", () => {
  const text = "# Changelog\n\n## 1.1.0\n\n- b\n\n## 1.0.0\n\n- a\n";
  assertEquals(findNotes(text, "1.1.0"), "- b");
  assertEquals(findNotes(text, "1.0.0"), "- a");
  assertEquals(findNotes(text, "1.0"), undefined);
  assert(findNotes(readText("CHANGELOG.md"), VERSION));
});

Deno.test("release refuses a tree that is not the tagged commit", () => {
  const good = { version: "1.0.0", tags: ["v1.0.0"], commit: "abc" };
  assertEquals(findObstacles(good), []);
  assertEquals(findObstacles({ ...good, tags: ["v0.9.0"] }).length, 1);
  assertEquals(findObstacles({ ...good, commit: "abc-dirty" }).length, 1);
  assertEquals(findObstacles({ ...good, commit: "" }).length, 1);
});

Deno.test("release binds install.sh to the place where its files will be", () => {
  const script = bindInstaller(readText("install.sh"), "https://example.com/v1");
  assertStringIncludes(script, "from=${DISTRIBUTOR_RELEASE_URL:-https://example.com/v1}");
});

Deno.test("workflows run tasks that there are, with actions of a pinned version", () => {
  for (const name of ["ci", "release"]) {
    const [workflow] = readYaml(`.github/workflows/${name}.yml`) as [Yaml];
    const steps: Yaml[] = Object.values<Yaml>(workflow.jobs).flatMap(({ steps = [] }) => steps);
    for (const { uses, run = "" } of steps) {
      if (uses) assertMatch(uses, /^[\w-]+\/[\w-]+@v\d+$/);
      for (const [, task] of run.matchAll(/\bdeno task ([\w:]+)/g)) {
        assert(task! in denoConfig.tasks, `${name}: there is no task ${task}`);
      }
    }
    assertEquals(workflow.permissions, { contents: "read" }, "more only where it is needed");
  }
});
