import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DEFAULT_HEALTH } from "../src/health.ts";
import { probe, Prober } from "../src/probe.ts";
import type { Random } from "../src/random.ts";
import { Registry } from "../src/registry.ts";
import { eventually } from "./support/eventually.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { quietLog } from "./support/quiet_log.ts";

const TIMEOUT_MS = 2000;

/** An analyzer's health check; `respond` may be exchanged while it runs. */
class HealthServer implements AsyncDisposable {
  readonly paths: string[] = [];
  respond: (request: Request) => Response | Promise<Response>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(respond: HealthServer["respond"] = () => new Response("ok")) {
    this.respond = respond;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      this.paths.push(`${request.method} ${new URL(request.url).pathname}`);
      return this.respond(request);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

function ask(url: string, clock = new FakeClock()): ReturnType<typeof probe> {
  return probe(url, { timeoutMs: TIMEOUT_MS, clock });
}

Deno.test("probe() asks GET /health below the URL's path, and leaves no timer", async () => {
  await using server = new HealthServer();
  const clock = new FakeClock();
  assertEquals(await ask(`${server.url}/base`, clock), {
    ok: true,
    detail: "HTTP 200",
    batches: false,
  });
  assertEquals([server.paths, clock.timers], [["GET /base/health"], 0]);
});

Deno.test("probe() takes 2xx alone for good, and follows no redirect", async () => {
  await using target = new HealthServer();
  await using server = new HealthServer();
  for (const status of [200, 204, 299, 301, 302, 307, 404, 429, 500, 503]) {
    server.respond = () =>
      new Response(null, { status, headers: { location: `${target.url}/health` } });
    const { ok, detail } = await ask(server.url);
    assertEquals([ok, detail], [status < 300, `HTTP ${status}`]);
  }
  assertEquals(target.paths, []);
});

Deno.test("probe() reads the offer of NDJSON from Accept-Post", async () => {
  await using server = new HealthServer();
  const offers: [string, boolean][] = [
    ["application/x-ndjson", true],
    ["application/json, Application/X-NDJSON", true],
    ["application/json", false],
  ];
  for (const [offer, batches] of offers) {
    server.respond = () => new Response("ok", { headers: { "accept-post": offer } });
    assertEquals((await ask(server.url)).batches, batches, offer);
  }
});

Deno.test("probe() needs only the head of an answer: an endless body is cut off", async () => {
  const cut = Promise.withResolvers<void>();
  await using server = new HealthServer(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(1024)),
        cancel: () => cut.resolve(),
      }),
    )
  );
  assert((await ask(server.url)).ok);
  await cut.promise;
});

Deno.test("probe() says why there was no answer: refused, or too late", async () => {
  const gone = new HealthServer();
  const { url } = gone;
  await gone[Symbol.asyncDispose]();
  const refused = await ask(url);
  assert(!refused.ok && !refused.batches);
  assertStringIncludes(refused.detail.toLowerCase(), "refused");
  assert(!refused.detail.includes(url), "the URL is known");

  const clock = new FakeClock();
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<Response>();
  await using server = new HealthServer(() => {
    asked.resolve();
    return held.promise;
  });
  const late = ask(server.url, clock);
  await asked.promise;
  clock.advance(TIMEOUT_MS);
  const verdict = await late;
  held.resolve(new Response());
  assertEquals(verdict, { ok: false, detail: "No answer within 2000 ms", batches: false });
});

/** A server that says `text` to whoever connects, over and over if told, and never closes. */
async function withRawServer(
  { text, endless = false }: { text: string; endless?: boolean },
  use: (url: string) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bytes = new TextEncoder().encode(text);
  const serving = (async () => {
    const conn = await listener.accept();
    try {
      await conn.read(new Uint8Array(1024));
      do await conn.write(bytes); while (endless);
      while (await conn.read(new Uint8Array(1024)) !== null) { /* until the prober has gone */ }
    } catch { /* it has gone in the middle */ }
    conn.close();
  })();
  await use(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`);
  // Ends only when the prober has let go of its connection.
  await serving;
  listener.close();
}

Deno.test("probe() hangs on no endless answer and no garbage, and lets go of the connection", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const rows: Record<string, [text: string, endless: boolean, ok: boolean]> = {
    "an endless body": [`${head}\r\n${"x".repeat(4096)}`, true, true],
    "a body without end": [
      `${head}Content-Length: 999999999\r\n\r\n${"x".repeat(70_000)}`,
      false,
      true,
    ],
    "an endless head": [`${head}X: ${"x".repeat(70_000)}`, false, false],
    "another protocol": ["SSH-2.0-OpenSSH_9.6\r\n\r\n", false, false],
    "a broken length": [`${head}Content-Length: many\r\n\r\n`, false, false],
    "bytes": ["\0\r\n\r\n".repeat(100), true, false],
  };
  for (const [name, [text, endless, ok]] of Object.entries(rows)) {
    await withRawServer({ text, endless }, async (url) => {
      const clock = new FakeClock();
      const verdict = await ask(url, clock);
      assertEquals([verdict.ok, verdict.batches, clock.timers], [ok, false, 0], name);
    });
  }
});

Deno.test("probe() goes to the analyzer itself, whatever proxy the environment names", async () => {
  await using server = new HealthServer(() =>
    new Response("ok", { headers: { "accept-post": "application/x-ndjson" } })
  );
  const program = `
    import { probe } from "${new URL("../src/probe.ts", import.meta.url)}";
    import { systemClock } from "${new URL("../src/clock.ts", import.meta.url)}";
    console.log(JSON.stringify(await probe("${server.url}", { timeoutMs: 5000, clock: systemClock })));
  `;
  const proxy = "http://127.0.0.1:9";
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", "--no-config", program],
    env: { HTTP_PROXY: proxy, http_proxy: proxy, ALL_PROXY: proxy, NO_PROXY: "", no_proxy: "" },
  }).output();
  const text = new TextDecoder();
  assertEquals(
    text.decode(stdout).trim(),
    '{"ok":true,"detail":"HTTP 200","batches":true}',
    text.decode(stderr),
  );
});

/** A prober over a real registry and a clock that is moved by hand. */
class Setup implements Disposable {
  readonly clock = new FakeClock();
  readonly registry: Registry;
  readonly prober: Prober;
  /** What the registry heard, as `id ok` or `id not`, with the time. */
  readonly heard: string[] = [];
  #waiting: { count: number; resolve: () => void } | undefined;

  constructor(random: Random = () => 0.5) {
    const log = quietLog();
    const doors = { clock: this.clock, random, log };
    this.registry = new Registry({
      health: { ...DEFAULT_HEALTH, jitter: 0, slowStartMs: 0 },
      maxLoad: () => 10,
    }, doors);
    const probed = this.registry.probed.bind(this.registry);
    this.registry.probed = (analyzer, verdict) => {
      probed(analyzer, verdict);
      this.heard.push(`${analyzer.id} ${verdict.ok ? "ok" : "not"} at ${this.clock.monotonicMs()}`);
      if (this.heard.length >= (this.#waiting?.count ?? Infinity)) this.#waiting!.resolve();
    };
    this.prober = new Prober(this.registry, {
      intervalMs: 5000,
      transitionMs: 1000,
      timeoutMs: TIMEOUT_MS,
    }, doors);
  }

  [Symbol.dispose](): void {
    this.prober.stop();
    this.registry.close();
    assertEquals(this.clock.timers, 0, "no timer is left");
  }

  put(id: string, url: string): void {
    this.registry.put({ id, url, weight: 1 });
  }

  /** Waits until that many verdicts have been heard, and returns them. */
  async hear(count: number): Promise<string[]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { count, resolve };
    if (this.heard.length < count) await promise;
    assertEquals(this.heard.length, count);
    return this.heard;
  }

  /** Moves on to the next check and waits for its verdict. */
  async next(ms: number): Promise<string> {
    const count = this.heard.length;
    this.clock.advance(ms - 1);
    assertEquals(this.heard.length, count, "not before its time");
    this.clock.advance(1);
    return (await this.hear(count + 1)).at(-1)!;
  }
}

Deno.test("prober asks a new analyzer at once and then every 5 s, give or take a fifth", async () => {
  for (const [chance, intervalMs] of [[0, 4000], [0.5, 5000], [0.75, 5500]] as const) {
    await using server = new HealthServer();
    using setup = new Setup(() => chance);
    setup.put("a", server.url);
    assertEquals(await setup.hear(1), ["a ok at 0"]);
    assertEquals(await setup.next(intervalMs), `a ok at ${intervalMs}`);
    assertEquals(await setup.next(intervalMs), `a ok at ${2 * intervalMs}`);
  }
});

Deno.test("prober asks every second while a state may be about to change", async () => {
  await using server = new HealthServer(() => new Response(null, { status: 503 }));
  using setup = new Setup();
  setup.put("a", server.url);
  const stateOf = () => setup.registry.get("a")!.health.state;
  await setup.hear(1);
  for (const state of ["healthy", "ejected", "ejected"] as const) {
    await setup.next(1000);
    assertEquals(stateOf(), state);
  }
  server.respond = () => new Response();
  // The ejection of 5 s began at 2 s; two good checks after it lead to probation, three more out.
  const states: string[] = [];
  for (let i = 0; i < 7; i++) {
    await setup.next(1000);
    states.push(stateOf());
  }
  assertEquals(states, [
    ...["ejected", "ejected", "ejected", "probation"],
    ...["probation", "probation", "healthy"],
  ]);
  await setup.next(5000);
});

Deno.test("prober brings the next check nearer when attempts fail", async () => {
  await using server = new HealthServer();
  using setup = new Setup();
  setup.put("a", server.url);
  await setup.hear(1);
  const analyzer = setup.registry.get("a")!;
  for (let i = 0; i < 3; i++) {
    setup.registry.failed(analyzer, { kind: "retriable", failure: "connect", detail: "" }, {
      packet: { id: "p", tried: [] } as never,
      startedMs: setup.clock.monotonicMs(),
      undecided: false,
    });
  }
  assertEquals(analyzer.health.state, "ejected");
  assertEquals(await setup.next(1000), "a ok at 1000");
});

Deno.test("prober asks each analyzer by itself: one that hangs delays no other", async () => {
  const held = Promise.withResolvers<Response>();
  await using slow = new HealthServer(() => held.promise);
  await using quick = new HealthServer();
  using setup = new Setup();
  setup.put("slow", slow.url);
  setup.put("quick", quick.url);
  assertEquals(await setup.hear(1), ["quick ok at 0"]);
  setup.clock.advance(TIMEOUT_MS);
  assertEquals((await setup.hear(2)).at(-1), "slow not at 2000");
  held.resolve(new Response());
});

Deno.test("prober forgets an analyzer that is removed, and asks one at its new URL at once", async () => {
  await using old = new HealthServer();
  await using moved = new HealthServer();
  using setup = new Setup();
  setup.put("a", old.url);
  await setup.hear(1);
  setup.put("a", moved.url);
  await setup.hear(2);
  assertEquals([old.paths.length, moved.paths.length], [1, 1]);
  setup.registry.remove("a");
  setup.clock.advance(60_000);
  assertEquals([setup.clock.timers, old.paths.length, moved.paths.length], [0, 1, 1]);
});

Deno.test("prober.stop() ends a check under way, which says nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<Response>();
  await using server = new HealthServer(() => {
    asked.resolve();
    return held.promise;
  });
  using setup = new Setup();
  setup.put("a", server.url);
  await asked.promise;
  setup.prober.stop();
  setup.put("b", server.url);
  await eventually(() => setup.clock.timers === 0, { name: "the check has ended" });
  held.resolve(new Response());
  assertEquals([setup.heard, server.paths.length], [[], 1]);
});
