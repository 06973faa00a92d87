/**
 * Runs the wrapper in a folder of its own, with a PATH of which every program is chosen: fake
 * `deno` and `npm` that tell what they were called with, this Deno where JSR is asked for.
 */

import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";

const DENOW = new URL("../denow", import.meta.url);
const NPM_ONLY = "--import-map=npm_only/import_map.json --lock=npm_only/deno.lock";
const TOOLS = ["cat", "chmod", "dirname", "find", "ln", "mkdir", "mv", "readlink", "rm", "sh"];
const windows = Deno.build.os === "windows";

/** Tells its folder, the profile, and its arguments one a line. */
const TELL = 'pwd; printf "%s\\n" "[$DENO_PROFILE]"; for a in "$@"; do printf "<%s>\\n" "$a"; done';

function fakeDeno(version: string): string {
  return `if [ "$1" = -V ]; then echo "deno ${version}"; else ${TELL}; fi`;
}

/** Installs what it is asked for under --prefix, and keeps a list of its calls. */
const FAKE_NPM = `
prefix=$3; for spec in "$@"; do :; done
printf "%s\\n" "$spec" >>"$(dirname "$0")/npm.calls"
package=$prefix/node_modules/\${spec%@*}
mkdir -p "$package"
cat >"$package/deno" <<'END'
#!/bin/sh
echo pinned; ${TELL}
END`;

const FAKE_LINUX = {
  uname: "case $1 in -s) echo Linux;; *) echo x86_64;; esac",
  ldd: "echo glibc",
};

interface Result {
  readonly code: number;
  readonly lines: string[];
  readonly stderr: string;
}

class Sandbox implements AsyncDisposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** Makes a project folder with the wrapper, and the programs that it may find. */
  static async create(programs: Record<string, string>): Promise<Sandbox> {
    const root = await Deno.realPath(await Deno.makeTempDir());
    await Deno.mkdir(`${root}/project`);
    await Deno.mkdir(`${root}/bin`);
    await Deno.copyFile(DENOW, `${root}/project/denow`);
    const sandbox = new Sandbox(root);
    for (const tool of TOOLS) await sandbox.#linkTool(tool);
    for (const [name, body] of Object.entries({ ...FAKE_LINUX, ...programs })) {
      await sandbox.addProgram(name, body);
    }
    return sandbox;
  }

  async addProgram(name: string, body: string): Promise<void> {
    const path = `${this.root}/bin/${name}`;
    await Deno.writeTextFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }

  async #linkTool(name: string): Promise<void> {
    for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
      const exists = await Deno.stat(`${folder}/${name}`).then(() => true, () => false);
      if (exists) return await Deno.symlink(`${folder}/${name}`, `${this.root}/bin/${name}`);
    }
  }

  async run(args: string[], options: RunOptions = {}): Promise<Result> {
    const { env = { DENO_PROFILE: "" }, cwd = this.root, script = "project/denow" } = options;
    const output = await new Deno.Command("/bin/sh", {
      args: [`${this.root}/${script}`, ...args],
      cwd,
      clearEnv: true,
      env: { PATH: `${this.root}/bin`, HOME: this.root, ...env },
    }).output();
    const decoder = new TextDecoder();
    return {
      code: output.code,
      lines: decoder.decode(output.stdout).split("\n").slice(0, -1),
      stderr: decoder.decode(output.stderr),
    };
  }

  async npmCalls(): Promise<string[]> {
    const text = await Deno.readTextFile(`${this.root}/bin/npm.calls`).catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  listCache(): string[] {
    return [...Deno.readDirSync(`${this.root}/project/.deno`)].map(({ name }) => name).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly script?: string;
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `denow ${name}`, ignore: windows, fn });
}

test("becomes the deno of the PATH in the project's folder, arguments untouched", async () => {
  await using sandbox = await Sandbox.create({ deno: fakeDeno("2.8.1") });
  const { code, lines, stderr } = await sandbox.run(["task", "a b", "", "*", "--x='$HOME'"]);
  assertEquals(code, 0);
  assertEquals(lines, [
    `${sandbox.root}/project`,
    "[]",
    "<task>",
    "<a b>",
    "<>",
    "<*>",
    "<--x='$HOME'>",
  ]);
  assertEquals(stderr, "");
});

test("hands the exit code on", async () => {
  const deno = '[ "$1" = -V ] && { echo "deno 2.9.6"; exit; }; exit 7';
  await using sandbox = await Sandbox.create({ deno });
  assertEquals((await sandbox.run(["task", "test"])).code, 7);
});

test("takes Deno 2.6 and later of the same major version", async () => {
  const rows = [
    { version: "2.6.0", taken: true },
    { version: "2.10.3", taken: true },
    { version: "2.7.0-rc.1+abc", taken: true },
    { version: "2.5.9", taken: false },
    { version: "1.46.3", taken: false },
    { version: "3.0.0", taken: false },
    { version: "", taken: false },
  ];
  for (const { version, taken } of rows) {
    await using sandbox = await Sandbox.create({ deno: fakeDeno(version), npm: FAKE_NPM });
    const { lines } = await sandbox.run([]);
    assertEquals(lines[0] !== "pinned", taken, version);
  }
});

test("installs the pinned Deno's binary once, and says so", async () => {
  await using sandbox = await Sandbox.create({ npm: FAKE_NPM });
  const first = await sandbox.run(["task", "demo"]);
  assertEquals(first.lines, ["pinned", `${sandbox.root}/project`, "[]", "<task>", "<demo>"]);
  assertMatch(first.stderr, /^denow: installing deno [\d.]+ from npm\n$/);
  const second = await sandbox.run(["task", "demo"]);
  assertEquals(second.lines, first.lines);
  assertEquals(second.stderr, "");
  assertEquals(await sandbox.npmCalls(), ["@deno/linux-x64-glibc@2.9.6"]);
  assertEquals(sandbox.listCache(), ["deno-2.9.6"]);
});

test("picks the platform's package", async () => {
  const rows = [
    { system: "Linux", machine: "x86_64", platform: "linux-x64-glibc" },
    { system: "Linux", machine: "aarch64", platform: "linux-arm64-glibc" },
    { system: "Darwin", machine: "x86_64", platform: "darwin-x64" },
    { system: "Darwin", machine: "arm64", platform: "darwin-arm64" },
  ];
  for (const { system, machine, platform } of rows) {
    const uname = `case $1 in -s) echo ${system};; *) echo ${machine};; esac`;
    await using sandbox = await Sandbox.create({ npm: FAKE_NPM, uname });
    assertEquals((await sandbox.run([])).code, 0);
    assertEquals(await sandbox.npmCalls(), [`@deno/${platform}@2.9.6`]);
  }
});

test("says what it cannot install on", async () => {
  const rows = [
    { name: "musl", programs: { ldd: 'echo "musl libc (x86_64)" >&2; exit 1' }, said: "musl" },
    { name: "system", programs: { uname: "echo SunOS" }, said: "SunOS" },
    {
      name: "machine",
      programs: { uname: "[ $1 = -s ] && echo Linux || echo riscv64" },
      said: "riscv64",
    },
  ];
  for (const { name, programs, said } of rows) {
    await using sandbox = await Sandbox.create({ npm: FAKE_NPM, ...programs });
    const { code, stderr } = await sandbox.run([]);
    assertEquals(code, 1, name);
    assertMatch(
      stderr,
      /^denow: Cannot install Deno on .*: install Deno 2\.6 or later yourself\n$/,
    );
    assertStringIncludes(stderr, said);
    assertEquals(await sandbox.npmCalls(), []);
  }
});

test("says what is missing where there is neither Deno nor npm", async () => {
  await using sandbox = await Sandbox.create({});
  const { code, stderr } = await sandbox.run([]);
  assertEquals(code, 127);
  assertMatch(stderr, /^denow: Cannot find Deno 2\.6 or later, nor npm .*\n$/);
});

test("says that npm failed, and leaves nothing behind", async () => {
  await using sandbox = await Sandbox.create({ npm: "exit 1" });
  const { code, stderr } = await sandbox.run([]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "denow: Cannot install @deno/linux-x64-glibc@2.9.6 with npm");
  assertEquals(sandbox.listCache(), []);
});

test("installs beside itself without harm", async () => {
  await using sandbox = await Sandbox.create({ npm: FAKE_NPM });
  const results = await Promise.all(Array.from({ length: 4 }, () => sandbox.run(["x"])));
  for (const { code, lines } of results) {
    assertEquals(code, 0);
    assertEquals(lines.at(-1), "<x>");
  }
  assertEquals(sandbox.listCache(), ["deno-2.9.6"]);
});

test("finds its project through symbolic links and from any folder", async () => {
  await using sandbox = await Sandbox.create({ deno: fakeDeno("2.9.6") });
  await Deno.mkdir(`${sandbox.root}/else where`);
  await Deno.symlink("../project/denow", `${sandbox.root}/else where/relative`);
  await Deno.symlink(`${sandbox.root}/else where/relative`, `${sandbox.root}/absolute`);
  for (const script of ["project/denow", "else where/relative", "absolute"]) {
    const { lines } = await sandbox.run([], { script, cwd: "/" });
    assertEquals(lines[0], `${sandbox.root}/project`, script);
  }
});

test("leaves a profile that is set alone, an empty one too", async () => {
  await using sandbox = await Sandbox.create({ deno: fakeDeno("2.9.6") });
  for (const DENO_PROFILE of ["", "--lock=other.lock"]) {
    const { lines } = await sandbox.run([], { env: { DENO_PROFILE } });
    assertEquals(lines[1], `[${DENO_PROFILE}]`);
  }
});

/** This Deno answers questions; everything else is only told. */
const ASKING_DENO = `case $1 in
-V | eval) exec "${Deno.execPath()}" "$@" ;;
*) ${TELL} ;;
esac`;

/** A registry that gives one answer and counts the questions. */
function serveRegistry(answer: () => Response | Promise<Response>) {
  let questions = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    questions++;
    assertEquals(new URL(request.url).pathname, "/@std/assert/meta.json");
    return answer();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    countQuestions: () => questions,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

test("asks JSR, and remembers the answer for a day and for that registry", async () => {
  await using registry = serveRegistry(() => Response.json({ versions: {} }));
  await using sandbox = await Sandbox.create({ deno: ASKING_DENO });
  const env = { JSR_URL: registry.url };
  for (let i = 0; i < 2; i++) {
    const { lines, stderr } = await sandbox.run(["x"], { env });
    assertEquals(lines.slice(1), ["[]", "<x>"]);
    assertEquals(stderr, "");
  }
  assertEquals(registry.countQuestions(), 1);

  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  await Deno.utime(`${sandbox.root}/project/.deno/profile`, twoDaysAgo, twoDaysAgo);
  await sandbox.run(["x"], { env });
  assertEquals(registry.countQuestions(), 2);

  await sandbox.run(["x"], { env: { JSR_URL: `${registry.url}/` } });
  assertEquals(registry.countQuestions(), 3);
});

test("takes the npm-only profile where JSR does not answer as JSR does", async () => {
  const rows = [
    { name: "not found", answer: () => new Response("", { status: 404 }) },
    { name: "a page", answer: () => new Response("<p>Log in to the network") },
    { name: "other JSON", answer: () => Response.json({ ok: true }) },
  ];
  for (const { name, answer } of rows) {
    await using registry = serveRegistry(answer);
    await using sandbox = await Sandbox.create({ deno: ASKING_DENO });
    const { lines, stderr } = await sandbox.run([], { env: { JSR_URL: registry.url } });
    assertEquals(lines[1], `[${NPM_ONLY}]`, name);
    assertEquals(stderr, "denow: JSR does not answer, taking the npm-only profile\n");
    assertEquals((await sandbox.run([], { env: { JSR_URL: registry.url } })).stderr, "");
  }
});

test("takes the npm-only profile soon where JSR is silent", async () => {
  const released = Promise.withResolvers<Response>();
  await using registry = serveRegistry(() => released.promise);
  await using sandbox = await Sandbox.create({ deno: ASKING_DENO });
  const startedAtMs = performance.now();
  const { lines } = await sandbox.run([], { env: { JSR_URL: registry.url } });
  assertEquals(lines[1], `[${NPM_ONLY}]`);
  // 1.5 s by design; the rest is room for a busy machine.
  assertLess(performance.now() - startedAtMs, 6000);
  released.resolve(new Response());
});

test("passes npm's registry on to Deno", async () => {
  const deno = '[ "$1" = -V ] && { echo "deno 2.9.6"; exit; }; echo "$NPM_CONFIG_REGISTRY"';
  await using sandbox = await Sandbox.create({ deno });
  const env = { DENO_PROFILE: "", npm_config_registry: "http://127.0.0.1:1/" };
  assertEquals((await sandbox.run([], { env })).lines, ["http://127.0.0.1:1/"]);
  const both = { ...env, NPM_CONFIG_REGISTRY: "http://127.0.0.1:2/" };
  assertEquals((await sandbox.run([], { env: both })).lines, ["http://127.0.0.1:2/"]);
});

test("keeps colours out of what is no terminal, unless they are chosen", async () => {
  const deno = '[ "$1" = -V ] && { echo "deno 2.9.6"; exit; }; echo "[${NO_COLOR-unset}]"';
  await using sandbox = await Sandbox.create({ deno });
  const rows: [env: Record<string, string>, expected: string][] = [
    [{}, "[1]"],
    [{ NO_COLOR: "" }, "[]"],
    [{ FORCE_COLOR: "1" }, "[unset]"],
  ];
  for (const [chosen, expected] of rows) {
    const { lines } = await sandbox.run([], { env: { DENO_PROFILE: "", ...chosen } });
    assertEquals(lines, [expected]);
  }
});

test("is executable", async () => {
  const { mode } = await Deno.stat(DENOW);
  assert((mode! & 0o111) === 0o111);
});
