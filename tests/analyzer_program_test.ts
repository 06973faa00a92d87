/** The mock analyzer as a program, and its registration at a distributor. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type RegistrationOptions, startRegistration } from "../analyzers/registration.ts";
import { type Clock, systemClock } from "../src/clock.ts";

const PROFILE = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
const ROOT = new URL("..", import.meta.url);

async function* readLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest) yield rest;
}

/** The program as a child process with its output as lines. */
class Program {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: AsyncGenerator<string>;
  readonly #stderr: AsyncGenerator<string>;

  constructor(...args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-net", ...PROFILE, "analyzers/main.ts", ...args],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = readLines(this.#child.stdout);
    this.#stderr = readLines(this.#child.stderr);
  }

  async readLine(): Promise<string> {
    return (await this.#stdout.next()).value ?? "";
  }

  async readErrorLine(): Promise<string> {
    return (await this.#stderr.next()).value ?? "";
  }

  /** The URL in the line of its start. */
  async readUrl(): Promise<string> {
    const line = await this.readLine();
    return /listening on (\S+?)[,;]/.exec(line)?.[1] ?? `no URL in: ${line}`;
  }

  /** Ends it, by the signal if one is given, and resolves to what it still said. */
  async end(signal?: Deno.Signal) {
    if (signal) this.#child.kill(signal);
    const [stdout, stderr, { code }] = await Promise.all([
      Array.fromAsync(this.#stdout),
      Array.fromAsync(this.#stderr),
      this.#child.status,
    ]);
    return { stdout, stderr, code };
  }
}

/** Stands in for a distributor; knows what is registered, and tells each request once. */
class FakeDistributor {
  /** Answers instead of the usual, when set. */
  status: number | undefined;
  readonly known = new Map<string, unknown>();
  readonly #seen: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #wake = () => {};

  constructor(port = 0) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = request.method === "POST" ? await request.json() : undefined;
    if (this.#seen.length < 100) this.#seen.push(`${request.method} ${pathname}`);
    this.#wake();
    if (this.status) return new Response(null, { status: this.status });
    const id = pathname.split("/")[4];
    if (id === undefined) {
      this.known.set(body.id, body);
      return Response.json({ status: "created" }, { status: 201 });
    }
    const found = this.known.get(id);
    if (request.method === "DELETE") this.known.delete(id);
    return Response.json(found ?? {}, { status: found ? 200 : 404 });
  }

  /** Resolves when a request that reads like this has come; skips the ones before it. */
  async saw(wanted: string): Promise<void> {
    for (;;) {
      const index = this.#seen.indexOf(wanted);
      if (index >= 0) return void this.#seen.splice(0, index + 1);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async [Symbol.asyncDispose]() {
    await this.#server.shutdown();
  }
}

/** A hundred times faster, for the loop's intervals and deadlines. */
const hurriedClock: Clock = {
  ...systemClock,
  after: (delayMs, fn) => systemClock.after(delayMs / 100, fn),
};

/** Starts a registration whose reports can be awaited one by one. */
function register(distributorUrl: string, options: Partial<RegistrationOptions> = {}) {
  const lines: string[] = [];
  let wake = () => {};
  const registration = startRegistration({
    distributorUrl,
    analyzer: { id: "a1", url: "http://localhost:8081", weight: 0.4 },
    clock: hurriedClock,
    report: (line) => {
      lines.push(line);
      wake();
    },
    ...options,
  });
  const nextLine = async () => {
    while (lines.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return lines.shift()!;
  };
  return { registration, nextLine, lines };
}

Deno.test("registration.end() removes what was registered", async () => {
  await using distributor = new FakeDistributor();
  const { registration, nextLine } = register(`${distributor.url}/`);
  assertMatch(await nextLine(), /^a1 is registered at .* as http:.*8081 \(weight 0\.4\)$/);
  assertEquals([...distributor.known.values()], [
    { id: "a1", url: "http://localhost:8081", weight: 0.4 },
  ]);
  await registration.end();
  await distributor.saw("DELETE /api/v1/analyzers/a1");
  assertEquals(distributor.known.size, 0);
});

Deno.test("registration.end() leaves the id to a successor at another URL", async () => {
  await using distributor = new FakeDistributor();
  const old = register(distributor.url);
  await old.nextLine();
  const analyzer = { id: "a1", url: "http://localhost:9091", weight: 0.4 };
  const successor = register(distributor.url, { analyzer });
  await successor.nextLine();
  await old.registration.end();
  assertEquals([...distributor.known.values()], [analyzer]);
  assertEquals(old.lines, []);
  await successor.registration.end();
  assertEquals(distributor.known.size, 0);
});

Deno.test("registration registers again when the distributor has forgotten it", async () => {
  await using distributor = new FakeDistributor();
  const { registration, nextLine, lines } = register(distributor.url);
  await nextLine();
  await distributor.saw("GET /api/v1/analyzers/a1");
  await distributor.saw("GET /api/v1/analyzers/a1");
  assertEquals(lines, []);
  distributor.known.clear();
  assertStringIncludes(await nextLine(), "is not known");
  assertStringIncludes(await nextLine(), "is registered");
  assert(distributor.known.has("a1"));
  await registration.end();
});

Deno.test("registration outlasts a distributor that is down, in one line", async () => {
  const first = new FakeDistributor();
  const { registration, nextLine, lines } = register(first.url);
  await nextLine();
  const { port } = first;
  await first[Symbol.asyncDispose]();
  assertMatch(await nextLine(), /^a1 cannot reach .*; trying again$/);
  await using second = new FakeDistributor(port);
  await second.saw("POST /api/v1/analyzers");
  assertStringIncludes(await nextLine(), "is not known");
  assertStringIncludes(await nextLine(), "is registered");
  assertEquals(lines, []);
  await registration.end();
});

Deno.test("registration says once that it is refused, and goes on trying", async () => {
  await using distributor = new FakeDistributor();
  distributor.status = 422;
  const { registration, nextLine } = register(distributor.url);
  assertMatch(await nextLine(), /^a1 is refused by .* it answered 422; trying again$/);
  for (let tries = 0; tries < 3; tries++) await distributor.saw("POST /api/v1/analyzers");
  distributor.status = undefined;
  assertStringIncludes(await nextLine(), "is registered");
  await registration.end();
});

Deno.test("registration.end() gives up on a distributor that does not answer", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { registration, nextLine } = register(`http://127.0.0.1:${silent.addr.port}`);
  assertStringIncludes(await nextLine(), "no answer in 2000 ms");
  await registration.end();
  assertEquals(await nextLine(), "a1 could not be deregistered: no answer in 2000 ms");
  silent.close();
});

Deno.test("analyzer program starts with the seed's flags, counts, and sums up on SIGTERM", async () => {
  const program = new Program("-id", "a9", "-port", "0", "-weight", "0.4");
  const url = await program.readUrl();
  const headers = { "content-type": "application/json" };
  const log_messages = [{ level: "INFO" }, { level: "INFO" }];
  for (const packet_id of ["p1", "p2", "p1"]) {
    const body = JSON.stringify({ packet_id, log_messages });
    const response = await fetch(`${url}/analyze`, { method: "POST", headers, body });
    assertEquals([response.status, (await response.json()).status], [200, "processed"]);
  }
  assertEquals(await program.end("SIGTERM"), {
    stdout: ["a9 stopped: 3 packets, 6 messages, 2 distinct, 1 repeated"],
    stderr: [],
    code: 0,
  });
});

Deno.test("analyzer program registers itself and deregisters on SIGTERM", async () => {
  await using distributor = new FakeDistributor();
  const program = new Program(
    ...["-id=a9", "-port=0", "-weight=0.4", `-distributor=${distributor.url}`],
  );
  const url = await program.readUrl();
  const line = await program.readErrorLine();
  assertEquals(line, `a9 is registered at ${distributor.url} as ${url} (weight 0.4)`);
  assertEquals(distributor.known.get("a9"), { id: "a9", url, weight: 0.4 });
  const { code, stderr } = await program.end("SIGTERM");
  assertEquals([code, stderr], [0, []]);
  await distributor.saw("DELETE /api/v1/analyzers/a9");
});

Deno.test("analyzer program begins with the faults of its flags", async () => {
  const program = new Program(
    ...["--port", "0", "--control-port", "0", "--refuse", "--error-rate", "0.5"],
  );
  const line = await program.readLine();
  const control = /control on (\S+);/.exec(line)?.[1];
  const knobs = await (await fetch(`${control}/faults`)).json();
  assertEquals([knobs.refuse, knobs["error-rate"]], [true, 0.5]);
  assertEquals((await program.end("SIGINT")).code, 0);
});

Deno.test("analyzer program --quiet prints nothing", async () => {
  await using distributor = new FakeDistributor();
  const program = new Program("--quiet", "-port", "0", "-distributor", distributor.url);
  await distributor.saw("POST /api/v1/analyzers");
  assertEquals(await program.end("SIGTERM"), { stdout: [], stderr: [], code: 0 });
});

Deno.test("analyzer program says which port is in use, and exits 1", async () => {
  await using distributor = new FakeDistributor();
  const { code, stdout, stderr } = await new Program("-port", `${distributor.port}`).end();
  assertEquals([code, stdout.length, stderr.length], [1, 0, 1]);
  assertStringIncludes(stderr[0]!, `Cannot listen on 127.0.0.1:${distributor.port}: address`);
});

const usageFaults: [args: string[], named: string][] = [
  [["-id", "a b"], "--id"],
  [["-weight", "0"], "--weight"],
  [["--latency", "50"], "--latency"],
  [["--port", "0", "word"], '"word"'],
  [["--refuse"], "--control-port"],
  [["--host", "0.0.0.0", "--distributor", "http://localhost:8080"], "--advertise"],
];

Deno.test("analyzer program exits 2 on a usage fault and names it in one line", async () => {
  for (const [args, named] of usageFaults) {
    const { code, stdout, stderr } = await new Program(...args).end();
    assertEquals([code, stdout.length, stderr.length], [2, 0, 1], args.join(" "));
    assertStringIncludes(stderr[0]!, named);
  }
});

Deno.test("analyzer program prints its help and its version", async () => {
  const help = await new Program("-h").end();
  assertEquals(help.code, 0);
  for (const flag of ["--id", "--weight", "--error-rate"]) {
    assertStringIncludes(help.stdout.join("\n"), flag);
  }
  const version = await new Program("--version").end();
  assertMatch(version.stdout.join("\n"), /^analyzer \d+\.\d+\.\d+$/);
});
