/**
 * Who may import whom, and which files are the doors to the outside. Every file of the service has
 * its rank here: a new one must be put in, where its imports allow it.
 */

import { assert, assertEquals } from "@std/assert";

interface Rank {
  readonly files: readonly string[];
  /** Among its files, these may import each other's values, though never in a circle. */
  readonly together?: (file: string) => boolean;
  /** The highest rank whose values it may import. @default the one below */
  readonly upTo?: number;
}

/** Values come from lower ranks alone; types may also come from equals. */
const RANKS: readonly Rank[] = [
  // What knows nothing of the flow: doors, structures, forms.
  {
    files: [
      ...["body", "channel", "clock", "errors", "exposition", "failpoint", "fast_scanner", "flags"],
      ...[
        "discard",
        "front",
        "heap",
        "histogram",
        "hosts",
        "instruments",
        "process_usage",
        "timing",
      ],
      ...[
        "http_answer",
        "http_client",
        "http_connection",
        "http_error",
        "http_fetch",
        "line_writer",
        "log",
        "outcome",
      ],
      ...[
        "packet",
        "packet_scanner",
        "problem",
        "random",
        "signals",
        "tracing",
        "version",
        "window",
      ],
    ],
    together: () => true,
  },
  // The parts, each by itself.
  {
    files: [
      ...["analyzer", "analyzer_config", "analyzer_view", "health", "lottery", "ramp", "retry"],
      ...[
        "queue/arrivals",
        "queue/committer",
        "queue/dead_letter",
        "queue/delayed",
        "queue/disk",
        "queue/feed",
        "queue/ledger",
        "queue/memory",
      ],
      ...[
        "queue/analyzer_rows",
        "queue/ballast",
        "queue/data_folder",
        "queue/dead_rows",
        "queue/file_lock",
      ],
      ...["queue/group_rows", "queue/offline_spool", "queue/packet_codec", "queue/settled_bits"],
      ...[
        "queue/packet_queue",
        "queue/refusals",
        "queue/spool",
        "queue/spool_database",
        "queue/spool_form",
        "queue/storage_error",
      ],
    ],
    together: (file) => file.startsWith("queue/"),
  },
  { files: ["config", "delivery", "probe", "registry", "server", "spool_command"] },
  { files: ["drain", "lane", "roster", "worker"], together: () => true },
  // The routes: live objects are handed in.
  { files: ["admin", "ingest", "metrics", "metrics_text", "warnings"], upTo: 1 },
  // What operators watch by: its own parts, with live objects handed in.
  {
    files: ["observation", "dashboard/page", "dashboard/snapshot", "dashboard/stream"],
    together: () => true,
  },
  // The same picture in a terminal, of any distributor: over HTTP alone.
  {
    files: ["top/events", "top/picture", "top/terminal", "top/watch"],
    upTo: 0,
    together: () => true,
  },
  { files: ["app"] },
  // What threads say to each other, and their two ends.
  {
    files: [
      ...["threads/commons", "threads/ingest_thread", "threads/link", "threads/messages"],
      ...["threads/parcel", "threads/reception", "threads/relay", "threads/threads"],
    ],
    together: (file) => file.startsWith("threads/"),
  },
  { files: ["distributor"] },
  { files: ["main"] },
];

/** Imports of a single constant that is worth no other place. */
const EXCEPTIONS = ["admin > registry: MAX_ANALYZERS"];

/** What only some files may touch. */
const DOORS: Record<string, { pattern: RegExp; files: readonly string[] }> = {
  fetch: { pattern: /(?<![.\w])fetch\(/, files: ["http_fetch", "top/terminal"] },
  sockets: {
    pattern: /\bDeno\.(connect|connectTls|listen|listenTls)\b/,
    files: ["http_client", "server"],
  },
  threads: {
    pattern: /\bnew Worker\b|\bself\b/,
    files: ["threads/ingest_thread", "threads/threads"],
  },
  servers: { pattern: /\bDeno\.serve\b/, files: ["server"] },
  console: { pattern: /\bconsole\b/, files: ["log", "main"] },
  "standard streams": {
    pattern: /\bDeno\.(stdin|stdout|stderr)\b/,
    files: ["failpoint", "log", "main", "top/terminal"],
  },
  time: {
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\b|\bset(Timeout|Interval)\b|\bTemporal\b/,
    files: ["clock"],
  },
  chance: { pattern: /\bMath\.random\b|\bcrypto\b/, files: ["random"] },
  files: {
    pattern: /\bDeno\.(read|write|open|create|make|mkdir|remove(Sync)?\b|rename|l?stat|copyFile)/,
    files: [
      "main",
      "process_usage",
      "queue/ballast",
      "queue/data_folder",
      "queue/file_lock",
      "queue/offline_spool",
      "queue/spool",
      "queue/spool_database",
    ],
  },
  process: {
    pattern: /\bDeno\.(args|env|exit|exitCode|addSignalListener|kill|Command)\b/,
    files: ["main", "signals"],
  },
};

const ROOT = new URL("../", import.meta.url);

interface Import {
  /** A file of the service as it is named above, or anything else as it is written. */
  readonly from: string;
  /** Names of imported values; none when only types are. */
  readonly values: readonly string[];
}

interface Source {
  readonly file: string;
  readonly imports: readonly Import[];
  /** Without comments and strings. */
  readonly code: string;
}

const sources = [
  readSource("main.ts"),
  ...listFiles("src").filter((path) => !path.startsWith("src/wasm/")).map(readSource),
];

function listFiles(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) =>
    isDirectory ? listFiles(`${folder}/${name}`) : name.endsWith(".ts") ? [`${folder}/${name}`] : []
  ).sort();
}

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  const withoutComments = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
  return {
    file: nameOf(new URL(path, ROOT)),
    imports: readImports(withoutComments, new URL(path, ROOT)),
    code: withoutComments.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""'),
  };
}

function readImports(text: string, base: URL): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(?:([^"';]*?)\s*from\s+)?"([^"]+)"/gm);
  const dynamic = text.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [
    ...[...statements].map(([, names = "*", from]) => ({
      from: resolve(from!, base),
      values: valuesOf(names),
    })),
    ...[...dynamic].map(([, from]) => ({ from: resolve(from!, base), values: ["*"] })),
  ];
}

/** `{ type A, B as C }` → `["B as C"]`; `type { A }` → `[]`. */
function valuesOf(names: string): string[] {
  if (/^type\b/.test(names)) return [];
  return names.replace(/[{}]/g, "").split(",").map((name) => name.trim())
    .filter((name) => name !== "" && !name.startsWith("type "));
}

function resolve(from: string, base: URL): string {
  return from.startsWith(".") ? nameOf(new URL(from, base)) : from;
}

function nameOf(url: URL): string {
  return url.href.slice(ROOT.href.length).replace(/^src\//, "").replace(/\.ts$/, "");
}

function rankOf(file: string): number {
  return RANKS.findIndex(({ files }) => files.includes(file));
}

/** What is wrong with an import of one file by another, if anything is. */
function faultOf(file: string, { from, values }: Import): string | undefined {
  const [own, theirs] = [rankOf(file), rankOf(from)];
  if (theirs === -1) return undefined;
  const line = `${file} > ${from}: ${values.join(", ") || "types"}`;
  if (EXCEPTIONS.includes(line)) return undefined;
  if (theirs > own) return `${line} (rank ${own} imports rank ${theirs})`;
  if (values.length === 0) return undefined;
  const { together, upTo = own - 1 } = RANKS[own]!;
  if (theirs <= upTo) return undefined;
  if (theirs === own && together?.(file) && together(from)) return undefined;
  return `${line} (rank ${own} imports values of rank ${theirs})`;
}

Deno.test("layers: every file has its rank, and every rank its files", () => {
  const ranked = RANKS.flatMap(({ files }) => files);
  assertEquals(sources.map(({ file }) => file).sort(), ranked.toSorted());
});

Deno.test("layers: nobody imports a higher rank, nor the values of an equal", () => {
  const faults = sources.flatMap(({ file, imports }) =>
    imports.map((one) => faultOf(file, one)).filter((fault) => fault !== undefined)
  );
  assertEquals(faults, []);
});

Deno.test("layers: there are no circles", () => {
  const bySource = new Map(sources.map((source) => [source.file, source]));
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert(!path.includes(file), [...path, file].join(" > "));
    if (done.has(file)) return;
    for (const { from, values } of bySource.get(file)?.imports ?? []) {
      if (values.length > 0) visit(from, [...path, file]);
    }
    done.add(file);
  };
  for (const { file } of sources) visit(file, []);
});

Deno.test("layers: the outside is touched through its doors alone", () => {
  for (const [door, { pattern, files }] of Object.entries(DOORS)) {
    const users = sources.filter(({ code }) => pattern.test(code)).map(({ file }) => file);
    assertEquals(users.filter((file) => !files.includes(file)), [], door);
  }
});

Deno.test("layers: analyzers and generator import only what knows nothing of the flow", () => {
  const faults = ["analyzers", "generator"].flatMap(listFiles).flatMap((path) =>
    readSource(path).imports
      .filter(({ from }) => rankOf(from) > 0)
      .map(({ from }) => `${path} > ${from}`)
  );
  assertEquals(faults, []);
});

Deno.test("layers: packages are imported by their bare names", () => {
  const packages = new Set(
    sources.flatMap(({ imports }) => imports.map(({ from }) => from))
      .filter((from) => rankOf(from) === -1 && !/\.(wasm|json|html|css|js|svg)$/.test(from)),
  );
  for (const name of packages) assert(/^(@std\/|@hono\/hono|node:|uplot\/)/.test(name), name);
  assert(packages.has("@hono/hono"), "the imports have been read at all");
});
