/** The programs as a user starts them: options, faults of the start, cost, the seed's session. */

import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { OPTIONS } from "../../src/config.ts";
import { flagName } from "../../src/flags.ts";
import { VERSION } from "../../src/version.ts";
import { Agent } from "../support/agent.ts";
import { assertBalanced, assertConserved } from "../support/conservation.ts";
import { TestFolder } from "../support/data_folder.ts";
import { eventually } from "../support/eventually.ts";
import { cpuSeconds } from "../support/proc.ts";
import {
  DIST,
  type Program,
  type ProgramName,
  startDistributorProgram,
  startProgram,
} from "../support/program.ts";
import { register, registerFleet } from "../support/register.ts";

const START_LIMIT_MS = 500;
const IDLE_SECONDS = 5;
const SEED_PORTS = [8080, 8081, 8082, 8083, 8084];

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: readonly string[];
}

async function run(
  name: ProgramName,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  await using program = startProgram(name, args, { env });
  const { code } = await program.exits();
  return { code, stdout: program.stdout.join("\n"), stderr: program.stderr };
}

async function withFile(text: string, use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(path, text);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("distributor --help names every flag and --version the version", async () => {
  for (const flag of ["--help", "-h", "-help"]) {
    const { code, stdout, stderr } = await run("distributor", [flag]);
    assertEquals([code, stderr], [0, []]);
    for (const key of Object.keys(OPTIONS)) assertStringIncludes(stdout, `--${flagName(key)}`);
  }
  const version = await run("distributor", ["--version"]);
  const expected = DIST ? /^distributor (\S+) \([0-9a-f]{7,}(-dirty)?\)$/ : /^distributor (\S+)$/;
  assertEquals([version.code, expected.exec(version.stdout)?.[1]], [0, VERSION]);
});

Deno.test("distributor --print-config shows each value and where it came from", async () => {
  const analyzers = [{ id: "a", url: "http://localhost:8081", weight: 0.5 }];
  const file = { queueSize: 1, workers: 2, maxRetries: 3, logLevel: "warn", analyzers };
  await withFile(JSON.stringify(file), async (path) => {
    const args = ["--print-config", "--config", path, "-queue-size", "7"];
    const env = { DISTRIBUTOR_QUEUE_SIZE: "5", DISTRIBUTOR_WORKERS: "6" };
    const { code, stdout } = await run("distributor", args, env);
    assertEquals(code, 0);
    const lines = stdout.split("\n");
    for (
      const line of [
        "queueSize = 7 (flag)",
        "workers = 6 (environment)",
        "maxRetries = 3 (file)",
        "logLevel = warn (file)",
        "retryInterval = 200ms (default)",
        "httpAddr = 127.0.0.1:8080 (default)",
        "analyzer a = http://localhost:8081 weight 0.5 (file)",
      ]
    ) assert(lines.includes(line), `${line}\nis not in\n${stdout}`);
    assertEquals(lines.length, Object.keys(OPTIONS).length + 1);
  });
});

Deno.test("faults of usage are one line on stderr and exit code 2", async () => {
  const rows: [name: ProgramName, args: string[], words: string[]][] = [
    ["distributor", ["--nope"], ["--nope", "--help"]],
    ["distributor", ["--queue-size"], ["--queue-size", "whole number"]],
    ["distributor", ["--queue-size=0"], ["--queue-size", '"0"', "at least 1"]],
    ["distributor", ["--retry-interval", "5"], ["--retry-interval", '"5"', "500ms"]],
    ["distributor", ["--http-addr", "8080"], ["--http-addr", '"8080"', "host:port"]],
    ["distributor", ["serve"], ['"serve"']],
    ["distributor", ["--config", "/does/not/exist.json"], ["/does/not/exist.json"]],
    ["analyzer", ["-weight", "0"], ["weight", '"0"', "above 0"]],
    ["analyzer", ["-prot", "1"], ["-prot"]],
    ["generator", ["-rate", "x"], ["rate", '"x"', "packets per second"]],
    ["generator", ["-duration", "60"], ["duration", '"60"', "60s"]],
  ];
  for (const [name, args, words] of rows) {
    const { code, stdout, stderr } = await run(name, args);
    const shown = `${name} ${args.join(" ")}: ${stderr.join("\n")}`;
    assertEquals([code, stdout, stderr.length], [2, "", 1], shown);
    for (const word of words) assertStringIncludes(stderr[0]!, word, shown);
  }
});

Deno.test("faults of environment and config file are one line on stderr and exit code 2", async () => {
  const env = await run("distributor", [], { DISTRIBUTOR_WORKERS: "many" });
  assertEquals([env.code, env.stderr.length], [2, 1]);
  assertStringIncludes(env.stderr[0]!, "DISTRIBUTOR_WORKERS");
  const rows: [text: string, word: string][] = [
    ["{", "JSON"],
    ["[]", "JSON object"],
    ['{"queuesize":1}', '"queuesize"'],
    ['{"queueSize":"lots"}', '"queueSize"'],
    ['{"analyzers":[{"id":"a","url":"http://a","weight":-1}]}', "analyzers[0]"],
  ];
  for (const [text, word] of rows) {
    await withFile(text, async (path) => {
      const { code, stderr } = await run("distributor", ["--config", path]);
      assertEquals([code, stderr.length], [2, 1], `${text}: ${stderr.join("\n")}`);
      assertStringIncludes(stderr[0]!, word);
    });
  }
});

Deno.test("a data folder outside Deno's permissions is one line that says what to do", async () => {
  const folder = "/nowhere/distributor";
  const { code, stdout, stderr } = await run("distributor", ["--data-dir", folder]);
  assertEquals([code, stdout, stderr.length], [1, "", 1], stderr.join("\n"));
  const words = [
    "Deno's permissions",
    `"${folder}"`,
    "inside data with --data-dir",
    "symbolic link",
  ];
  for (const word of words) assertStringIncludes(stderr[0]!, word);
  assertStringIncludes(stderr[0]!, `--allow-write="${folder}"`);
});

Deno.test({
  name: "a data folder may be a symbolic link to one that the permissions do not name",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using link = new TestFolder();
    const target = await Deno.makeTempDir();
    const root = new URL("../../", import.meta.url);
    await Deno.mkdir(new URL("data", root), { recursive: true });
    await Deno.symlink(target, new URL(link.path, root));
    const { program } = await startDistributorProgram([link.flag]);
    await using _program = program;
    await Deno.stat(`${target}/spool.db`);
    program.signal("SIGTERM");
    assertEquals((await program.exits()).code, 0);
    await Deno.remove(target, { recursive: true });
  },
});

Deno.test("an address in use is one line on stderr and exit code 1", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const { code, stderr } = await run("distributor", [`--http-addr=127.0.0.1:${port}`]);
  assertEquals([code, stderr.length], [1, 1], stderr.join("\n"));
  assertStringIncludes(stderr[0]!, `127.0.0.1:${port}`);
  assertStringIncludes(stderr[0]!, "--http-addr");
});

Deno.test("analyzers of the config file are there from the start", async () => {
  const analyzers = [
    { id: "a", url: "http://127.0.0.1:9", weight: 3 },
    { id: "b", url: "http://127.0.0.1:9/b", weight: 1 },
  ];
  await withFile(JSON.stringify({ analyzers, queueSize: 5 }), async (path) => {
    const { program, url } = await startDistributorProgram([`--config=${path}`]);
    await using _program = program;
    const metrics = await (await fetch(`${url}/api/v1/metrics`)).json();
    assertBalanced(metrics);
    assertEquals(metrics.queued.capacity, 5);
    assertEquals(metrics.analyzers.map(({ id, weight }: typeof analyzers[0]) => [id, weight]), [
      ["a", 3],
      ["b", 1],
    ]);
  });
});

Deno.test("distributor healthcheck exits 0 while one lives there, and 1 with a line if not", async () => {
  const { program, url } = await startDistributorProgram([]);
  await using _program = program;
  const args = ["healthcheck", `--http-addr=${new URL(url).host}`];
  assertEquals(await run("distributor", args), { code: 0, stdout: "", stderr: [] });
  program.signal("SIGTERM");
  await program.exits();
  const { code, stderr } = await run("distributor", args);
  assertEquals([code, stderr.length], [1, 1], stderr.join("\n"));
  assertStringIncludes(stderr[0]!, url);
});

/** A port that was free a moment ago. */
function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Milliseconds from the start of the process to its first answer. */
async function timeStart(): Promise<number> {
  const address = `127.0.0.1:${findFreePort()}`;
  const startedMs = performance.now();
  await using _program = startProgram("distributor", [`--http-addr=${address}`]);
  await eventually(async () => {
    const response = await fetch(`http://${address}/health`);
    await response.body?.cancel();
    return response.ok;
  }, { name: "the first answer", everyMs: 5 });
  return performance.now() - startedMs;
}

Deno.test("distributor answers within half a second of its start", async () => {
  const tookMs = [await timeStart(), await timeStart(), await timeStart()].sort((a, b) => a - b);
  const [load = 0] = Deno.loadavg();
  console.log(
    `first answer after ${tookMs.map(Math.round).join(", ")} ms (load ${load.toFixed(1)})`,
  );
  assertLess(tookMs[1]!, START_LIMIT_MS);
});

Deno.test({
  name: "an idle distributor with four analyzers uses less than 1 % of a core",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { program, url } = await startDistributorProgram([]);
    await using _program = program;
    const fleet = await registerFleet(url, ["a", "b", "c", "d"]);
    // The compiler tiers up and collects garbage for a moment after the start.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const before = cpuSeconds(program.pid);
    await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
    const percent = (cpuSeconds(program.pid) - before) / IDLE_SECONDS * 100;
    console.log(`idle: ${percent.toFixed(2)} % of a core`);
    assertLess(percent, 1);
    program.signal("SIGTERM");
    await program.exits();
    await fleet.close();
  },
});

/** The seed's ports, or free ones where those are taken. */
function choosePorts(): number[] {
  try {
    for (const port of SEED_PORTS) Deno.listen({ hostname: "0.0.0.0", port }).close();
    return SEED_PORTS;
  } catch {
    return SEED_PORTS.map(findFreePort);
  }
}

Deno.test("the seed's local session works word for word", async () => {
  const [port, ...analyzerPorts] = choosePorts();
  const weights = [0.4, 0.3, 0.2, 0.1];
  const url = `http://localhost:${port}`;
  await using programs = new AsyncDisposableStack();
  // What an earlier session has left in the usual folder would be there again.
  const folder = programs.use(new TestFolder());
  const start = (name: ProgramName, args: string[]): Program =>
    programs.use(startProgram(name, args, { env: { DISTRIBUTOR_DATA_DIR: folder.path } }));

  const distributor = start("distributor", port === 8080 ? [] : ["-http-addr", `:${port}`]);
  await distributor.url();
  for (const [i, weight] of weights.entries()) {
    const id = `analyzer${i + 1}`;
    const analyzerPort = analyzerPorts[i]!;
    const analyzer = start("analyzer", [
      ...["-id", id],
      ...["-port", `${analyzerPort}`],
      ...["-weight", `${weight}`],
    ]);
    await eventually(() => analyzer.stdout.length > 0, { name: `${id} listens` });
    const analyzerUrl = `http://localhost:${analyzerPort}`;
    assertEquals(await register(url, { id, url: analyzerUrl, weight }), "created");
  }
  const generator = start("generator", [
    ...["-url", url],
    ...["-rate", "20"],
    ...["-batch", "10"],
    ...["-duration", "3s"],
  ]);
  assertEquals((await generator.exits()).code, 0, generator.stderr.join("\n"));
  assertMatch(generator.stdout.join("\n"), /accepted\s+60\b/);

  const metrics = await eventually(async () => {
    const read = await (await fetch(`${url}/api/v1/metrics`)).json();
    assertBalanced(read);
    return read.delivered.packets === 60 && read;
  }, { name: "everything is delivered" });
  assertEquals(metrics.accepted.messages, 600);
  assertEquals(metrics.dead_lettered.packets, 0);

  const seen = new Map<string, number>();
  for (const analyzerPort of analyzerPorts) {
    const { ids } = await (await fetch(`http://localhost:${analyzerPort}/stats?ids=1`)).json();
    for (const [id, times] of Object.entries(ids)) seen.set(id, times as number);
  }
  assertEquals([seen.size, [...seen.values()].every((times) => times === 1)], [60, true]);
  const agent = new Agent(url);
  for (const id of seen.keys()) agent.attempted.add(id);
  assertConserved({ agent, seen, dead: [], queued: 0 });

  distributor.signal("SIGTERM");
  assertEquals((await distributor.exits()).code, 0);
});
