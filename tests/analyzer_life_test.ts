/** The mock analyzer's ports: close, kill, restart, refuse, flap, localhost. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ListenError } from "../analyzers/listener.ts";
import { type MockAnalyzer, startMockAnalyzer } from "../analyzers/mock_analyzer.ts";
import type { Clock } from "../src/clock.ts";

const BODY = '{"packet_id":"p1","log_messages":[{"level":"INFO"}]}';

/** On a connection of its own: a pooled one may lead to the analyzer that had the port before. */
async function analyze(analyzer: MockAnalyzer): Promise<number> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: BODY, client };
  const response = await fetch(`${analyzer.url}/analyze`, init);
  await response.body?.cancel();
  return response.status;
}

async function accepts(port: number, hostname = "127.0.0.1"): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch {
    return false;
  }
}

/** Says how a request ended that its analyzer may have cut. */
function outcome(request: Promise<number>): Promise<number | "cut"> {
  return request.catch(() => "cut" as const);
}

/** A clock that moves when told to. */
class ManualClock implements Clock {
  #nowMs = 0;
  #timers = new Map<() => void, number>();
  #onTimer = () => {};

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = () => fn();
    this.#timers.set(timer, this.#nowMs + delayMs);
    this.#onTimer();
    return () => this.#timers.delete(timer);
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
    for (const [timer, dueMs] of [...this.#timers]) {
      if (dueMs <= this.#nowMs && this.#timers.delete(timer)) timer();
    }
  }

  /** Resolves when so many timers wait. */
  waiting(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onTimer = () => {
        if (this.#timers.size >= count) resolve();
      };
      this.#onTimer();
    });
  }
}

/** Starts an analyzer with a request hanging in it. */
async function startHanging() {
  const { promise: drawn, resolve } = Promise.withResolvers<void>();
  const random = () => {
    resolve();
    return 0;
  };
  const analyzer = await startMockAnalyzer({ random, faults: { hangRate: 1 } });
  const hanging = outcome(analyze(analyzer));
  await drawn;
  return { analyzer, hanging };
}

Deno.test("startMockAnalyzer() says which port is in use", async () => {
  await using first = await startMockAnalyzer();
  const error = await assertRejects(() => startMockAnalyzer({ port: first.port }), ListenError);
  assertEquals(error.message, `Cannot listen on 127.0.0.1:${first.port}: address already in use`);
  await assertRejects(() => startMockAnalyzer({ controlPort: first.port }), ListenError);
});

Deno.test("startMockAnalyzer() on localhost is reached by every way to it", async () => {
  await using analyzer = await startMockAnalyzer({ host: "localhost" });
  assertEquals(analyzer.url, `http://localhost:${analyzer.port}`);
  assertEquals(await analyze(analyzer), 200);
  assert(await accepts(analyzer.port));
  if (await canListenOnIpv6()) assert(await accepts(analyzer.port, "::1"));
  await assertRejects(
    () => startMockAnalyzer({ host: "localhost", port: analyzer.port }),
    ListenError,
  );
});

async function canListenOnIpv6(): Promise<boolean> {
  try {
    await (await startMockAnalyzer({ host: "::1" })).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("analyzer.close() frees the port at once and answers what is in", async () => {
  const clock = new ManualClock();
  const analyzer = await startMockAnalyzer({ clock, faults: { latency: 500 } });
  const pending = outcome(analyze(analyzer));
  await clock.waiting(1);
  const closing = analyzer.close();
  assertEquals(await accepts(analyzer.port), false);
  clock.advance(500);
  assertEquals(await pending, 200);
  await closing;
  assertEquals(analyzer.ids(), new Map([["p1", 1]]));
});

Deno.test("analyzer.close() breaks off what takes longer than its grace", async () => {
  const clock = new ManualClock();
  const analyzer = await startMockAnalyzer({ clock, faults: { latency: 60_000 } });
  const pending = outcome(analyze(analyzer));
  await clock.waiting(1);
  const closing = analyzer.close();
  await clock.waiting(2);
  clock.advance(1000);
  assert(await pending !== 200);
  await closing;
  assertEquals(analyzer.stats().packets, 0);
});

Deno.test("analyzer.kill() breaks connections, and a later start has the port", async () => {
  const { analyzer, hanging } = await startHanging();
  const { port } = analyzer;
  await analyzer.kill();
  assertEquals(await hanging, "cut");
  assertEquals(await accepts(port), false);
  for (let round = 0; round < 3; round++) {
    const next = await startMockAnalyzer({ port });
    assertEquals([next.port, await analyze(next)], [port, 200]);
    await (round % 2 ? next.close() : next.kill());
  }
});

Deno.test("analyzer.close() and kill() may be called again", async () => {
  const analyzer = await startMockAnalyzer();
  await Promise.all([analyzer.close(), analyzer.close()]);
  await analyzer.kill();
  await analyzer.faults.set({ refuse: false });
  assertEquals(await accepts(analyzer.port), false);
});

Deno.test("refuse closes the port, cuts what is in and keeps the counts", async () => {
  const { analyzer, hanging } = await startHanging();
  await analyzer.faults.set({ refuse: true });
  assertEquals(await hanging, "cut");
  assertEquals(await accepts(analyzer.port), false);
  await analyzer.faults.clear();
  assertEquals(await analyze(analyzer), 200);
  assertEquals(analyzer.stats().requests, 2);
  await analyzer.close();
});

Deno.test("refuse waits for its port when another has taken it", async () => {
  const clock = new ManualClock();
  await using analyzer = await startMockAnalyzer({ clock, faults: { refuse: true } });
  const other = await startMockAnalyzer({ port: analyzer.port });
  await analyzer.faults.clear();
  await other.close();
  clock.advance(200);
  await analyzer.faults.set({});
  assertEquals(await analyze(analyzer), 200);
});

Deno.test("refuse is turned on and off over HTTP on the control port only", async () => {
  await using analyzer = await startMockAnalyzer({ controlPort: 0 });
  const patch = (url: string | undefined, refuse: boolean) =>
    fetch(`${url}/faults`, { method: "PATCH", body: JSON.stringify({ refuse }) });
  const own = await patch(analyzer.url, true);
  assertEquals([own.status, (await own.json()).status], [409, 409]);
  assert(await accepts(analyzer.port));

  assertEquals((await (await patch(analyzer.controlUrl, true)).json()).refuse, true);
  assertEquals(await accepts(analyzer.port), false);
  const stats = await (await fetch(`${analyzer.controlUrl}/stats`)).json();
  assertEquals(stats.packets, 0);
  const analyzed = await fetch(`${analyzer.controlUrl}/analyze`, { method: "POST", body: BODY });
  assertEquals([analyzed.status, (await analyzed.json()).status], [404, 404]);

  assertEquals((await (await patch(analyzer.controlUrl, false)).json()).refuse, false);
  assertEquals(await analyze(analyzer), 200);
});

Deno.test("flap opens and closes the port in turn, until it is off", async () => {
  const clock = new ManualClock();
  await using analyzer = await startMockAnalyzer({ clock, faults: { flap: 3000 } });
  const turns = [];
  for (let turn = 0; turn < 4; turn++) {
    turns.push(await accepts(analyzer.port));
    clock.advance(3000);
    await analyzer.faults.set({});
  }
  assertEquals(turns, [true, false, true, false]);
  clock.advance(3000);
  await analyzer.faults.clear();
  assertEquals(await analyze(analyzer), 200);
});
