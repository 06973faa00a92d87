/**
 * What only executables can show; they stand for the sources where DISTRIBUTOR_DIST names a folder
 * made by `deno task compile`, and there these tests run.
 */

import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { VERSION } from "../src/version.ts";
import { compileEntry, hostTarget } from "../tools/compile.ts";
import { PROGRAM_NAMES, PROGRAMS } from "../tools/programs.ts";
import { TestFolder } from "./support/data_folder.ts";
import { launchOf, readStages } from "./support/deployment.ts";
import { readYaml, type Yaml } from "./support/documents.ts";
import { eventually } from "./support/eventually.ts";
import { Fleet } from "./support/fleet.ts";
import { DIST, executableOf, type Program, startProgram } from "./support/program.ts";
import { register } from "./support/register.ts";

const ROOT = new URL("../", import.meta.url);
const MAX_BYTES = 110e6;
const START_LIMIT_MS = 300;
const ignore = DIST === undefined;

/** A folder like the image's root, to start in. */
class Folder implements Disposable {
  readonly path = Deno.realPathSync(Deno.makeTempDirSync());

  constructor() {
    for (const name of ["data", "config"]) Deno.mkdirSync(`${this.path}/${name}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

Deno.test({
  name: "executables: each is of at most 110 MB, and says version and commit",
  ignore,
  fn: async () => {
    for (const name of PROGRAM_NAMES) {
      const { size } = await Deno.stat(executableOf(name));
      console.log(`${name}: ${(size / 1e6).toFixed(1)} MB`);
      assertLess(size, MAX_BYTES);
      await using program = startProgram(name, ["--version"]);
      assertEquals((await program.exits()).code, 0);
      assertMatch(program.stdout[0]!, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\([0-9a-f]{7,}`));
    }
  },
});

Deno.test({
  name: "executables: with no variable at all, not even PATH, the distributor answers soon",
  ignore,
  fn: async () => {
    using folder = new Folder();
    const options = { cwd: folder.path, env: {}, clearEnv: true };
    const tookMs: number[] = [];
    // The best of several: what is measured is the program, not what else the machine is doing.
    // A machine with more to do than cores takes as many times longer.
    const [load = 0] = Deno.loadavg();
    const limitMs = START_LIMIT_MS * Math.max(1, load / navigator.hardwareConcurrency);
    for (let round = 0; round < 20 && !(Math.min(...tookMs) < limitMs); round++) {
      const address = `127.0.0.1:${freePort()}`;
      const startedMs = performance.now();
      await using program = startProgram("distributor", [`--http-addr=${address}`], options);
      await eventually(() => answers(`http://${address}/health`), { name: "answer", everyMs: 2 });
      tookMs.push(performance.now() - startedMs);
      await using check = startProgram(
        "distributor",
        ["healthcheck", `--http-addr=${address}`],
        options,
      );
      assertEquals((await check.exits()).code, 0, check.stderr.join("\n"));
      program.signal("SIGTERM");
      assertEquals((await program.exits()).code, 0);
    }
    console.log(`first answer after ${tookMs.map(Math.round).join(", ")} ms (load ${load})`);
    assertLess(Math.min(...tookMs), limitMs);
  },
});

Deno.test({
  name: "executables: the distributor's permissions keep a burglar from files and processes",
  ignore,
  fn: async () => {
    using folder = new Folder();
    const output = `${folder.path}/burglar`;
    await compileEntry({ ...PROGRAMS.distributor, entry: "tests/support/burglar.ts" }, {
      ...{ name: "burglar", target: hostTarget(), output, commit: "" },
    });
    const { stdout } = await new Deno.Command(output, {
      args: [`${folder.path}/elsewhere`],
      cwd: folder.path,
      clearEnv: true,
    }).output();
    const results = Object.fromEntries(
      new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split(" ")),
    );
    const { data, ...tries } = results as Record<string, string>;
    assertEquals(data, "x", "the data folder is its own");
    assertEquals(Object.keys(tries).length, 20);
    for (const [name, result] of Object.entries(tries)) {
      assertMatch(result, /^(NotCapable|PermissionDenied|TypeError)$/, `${name}: ${result}`);
    }
  },
});

Deno.test({
  name: "executables: the real distributor is refused a config file outside its folders",
  ignore,
  fn: async () => {
    await using program = startProgram("distributor", ["--config", "/etc/passwd"]);
    assertEquals((await program.exits()).code, 2);
    const refused = 'Cannot read config file "/etc/passwd": Deno\'s permissions do not let';
    assertStringIncludes(program.stderr.join("\n"), refused);
  },
});

interface Share {
  readonly id: string;
  readonly eligible: boolean;
  readonly share: { readonly target: number };
}

/** compose.yaml's services as processes: names become loopback, ports become free ones. */
class Rehearsal implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly #stages = readStages();
  readonly #services: Record<string, Yaml> = readYaml("compose.yaml")[0].services;
  readonly #ports = new Map<string, number>();
  readonly #running = new Map<string, Program>();

  get url(): string {
    return `http://127.0.0.1:${this.#portOf("8080")}`;
  }

  #portOf(port: string): number {
    const own = this.#ports.get(port) ?? freePort();
    this.#ports.set(port, own);
    return own;
  }

  #localize(text: string): string {
    return text
      .replace(/\/\/[a-z]+\d?:(\d+)/, (_, port) => `//127.0.0.1:${this.#portOf(port)}`)
      .replace(/^(-port=|:)(\d+)$/, (_, before, port) => before + this.#portOf(port))
      .replace(/^\/(data|config)/, `${this.#folder.path}/$1`);
  }

  start(name: string): Program {
    const { build, command, environment = {} } = this.#services[name]!;
    const stage = this.#stages.get(build.target)!;
    const { program, args, env } = launchOf(stage, { args: command, env: environment });
    const running = startProgram(program, args.map((arg) => this.#localize(arg)), {
      cwd: this.#folder.path,
      env: Object.fromEntries(
        Object.entries(env).map(([key, text]) => [key, this.#localize(text)]),
      ),
      clearEnv: true,
    });
    this.#running.set(name, running);
    return running;
  }

  async stop(name: string): Promise<number> {
    const program = this.#running.get(name)!;
    program.signal("SIGTERM");
    return (await program.exits()).code;
  }

  // deno-lint-ignore no-explicit-any
  async metrics(): Promise<any> {
    return await (await fetch(`${this.url}/api/v1/metrics`)).json();
  }

  /** Waits until the shares of the analyzers that take part are these. */
  async shows(targets: Record<string, number>): Promise<void> {
    await eventually(async () => {
      const { analyzers } = await this.metrics();
      const seen = (analyzers as Share[]).filter(({ eligible }) => eligible);
      return seen.length === Object.keys(targets).length &&
        seen.every(({ id, share }) => Math.abs(share.target - targets[id]!) < 0.001);
    }, { name: `shares ${JSON.stringify(targets)}`, timeoutMs: 20_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#running.values()) await program[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

Deno.test({
  name: "executables: compose.yaml's demo runs, and a share moves and returns",
  ignore,
  fn: async () => {
    await using demo = new Rehearsal();
    await demo.start("distributor").url();
    const weights = { analyzer1: 0.4, analyzer2: 0.3, analyzer3: 0.2, analyzer4: 0.1 };
    for (const name of Object.keys(weights)) demo.start(name);
    await demo.shows(weights);
    demo.start("generator");
    await eventually(async () => (await demo.metrics()).delivered.packets >= 20, {
      name: "packets are delivered",
    });
    assertEquals(await demo.stop("analyzer2"), 0);
    await demo.shows({ analyzer1: 4 / 7, analyzer3: 2 / 7, analyzer4: 1 / 7 });
    demo.start("analyzer2");
    await demo.shows(weights);
    assertEquals(await demo.stop("generator"), 0);
    assertEquals(await demo.stop("distributor"), 0);
    for (const name of Object.keys(weights)) assertEquals(await demo.stop(name), 0);
  },
});

Deno.test({
  name: "executables: kill -9 loses nothing that was accepted",
  ignore,
  fn: async () => {
    using folder = new TestFolder();
    const address = `127.0.0.1:${freePort()}`;
    const flags = [`--http-addr=${address}`, folder.flag];
    const fleet = new Fleet();
    const { url: analyzerUrl } = await fleet.add("a", 1, {
      batches: false,
      faults: { latency: 20 },
    });
    let accepted = 0;
    for (let round = 0; round < 3; round++) {
      await using program = startProgram("distributor", flags);
      const url = await program.url();
      if (round === 0) await register(url, { id: "a", url: analyzerUrl });
      await using generator = startProgram("generator", [
        ...[`-url=${url}`, "-packets=200", "-rate=1000", "--json", "--quiet"],
      ]);
      assertEquals((await generator.exits()).code, 0, generator.stderr.join());
      accepted += JSON.parse(generator.stdout.join("")).accepted;
      program.signal("SIGKILL");
      await program.exits();
    }
    await using program = startProgram("distributor", flags);
    await program.url();
    await eventually(() => fleet.seen().size >= accepted, {
      name: "all that was accepted has arrived",
      timeoutMs: 20_000,
    });
    assertEquals([accepted, fleet.seen().size], [600, 600]);
    program.signal("SIGTERM");
    assertEquals((await program.exits()).code, 0);
    await fleet.close();
  },
});

Deno.test({
  name: "executables: a dry run of the release makes files that install.sh installs",
  ignore,
  fn: async () => {
    const dryRun = await new Deno.Command(Deno.execPath(), {
      args: ["task", "release", "--dry-run"],
      cwd: ROOT,
    }).output();
    const said = new TextDecoder().decode(new Uint8Array([...dryRun.stdout, ...dryRun.stderr]));
    assertEquals(dryRun.code, 0, said);
    const release = new URL("dist/release/", ROOT);
    const names = [...Deno.readDirSync(release)].map(({ name }) => name);
    for (
      const name of ["SHA256SUMS", "NOTES.md", "install.sh", `distributor-${VERSION}.cdx.json`]
    ) {
      assert(names.includes(name), `${name} is not among ${names}`);
    }
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) =>
        Deno.readFile(new URL(`.${new URL(request.url).pathname}`, release))
          .then((bytes) => new Response(bytes)),
    );
    using folder = new Folder();
    const url = `http://127.0.0.1:${server.addr.port}`;
    const installed = await new Deno.Command("sh", {
      args: ["dist/release/install.sh", "--from", url, "--to", `${folder.path}/bin`],
      cwd: ROOT,
    }).output();
    assertEquals(installed.code, 0, new TextDecoder().decode(installed.stderr));
    const lines = new TextDecoder().decode(installed.stdout).trim().split("\n");
    assertEquals(lines.length, 3);
    assertMatch(lines[0]!, new RegExp(`^installed distributor ${VERSION} \\([0-9a-f]{7,}`));
  },
});
