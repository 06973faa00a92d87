/** The mock analyzer's endpoints and knobs over HTTP, on real ports. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type MockAnalyzer,
  type MockAnalyzerOptions,
  startMockAnalyzer,
  type Stats,
} from "../analyzers/mock_analyzer.ts";
import type { Clock } from "../src/clock.ts";

const JSON_TYPE = "application/json";
const NDJSON_TYPE = "application/x-ndjson";

function packet(packetId: string, message = "hello"): string {
  const log_messages = [{ level: "INFO", message }, { level: "ERROR", message }];
  return JSON.stringify({ packet_id: packetId, agent_id: "agent1", log_messages });
}

function analyze(analyzer: MockAnalyzer, body: BodyInit, type = JSON_TYPE): Promise<Response> {
  const headers = { "content-type": type };
  return fetch(`${analyzer.url}/analyze`, { method: "POST", headers, body });
}

async function analyzeStatus(analyzer: MockAnalyzer, body: BodyInit, type?: string) {
  const response = await analyze(analyzer, body, type);
  await response.body?.cancel();
  return response.status;
}

function patch(analyzer: MockAnalyzer, json: unknown): Promise<Response> {
  return fetch(`${analyzer.url}/faults`, { method: "PATCH", body: JSON.stringify(json) });
}

/** Declares a test with an analyzer that is closed at its end. */
function testAnalyzer(
  name: string,
  options: MockAnalyzerOptions,
  check: (analyzer: MockAnalyzer) => Promise<void>,
): void {
  Deno.test(name, async () => {
    await using analyzer = await startMockAnalyzer(options);
    await check(analyzer);
  });
}

/** A clock whose timers fire at once, and that writes down what was asked of it. */
function createInstantClock(delaysMs: number[]): Clock {
  return {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after(delayMs, fn) {
      if (delayMs >= 1000 || delayMs === 100) return () => {}; // close()'s own deadlines
      delaysMs.push(delayMs);
      let live = true;
      queueMicrotask(() => live && fn());
      return () => live = false;
    },
  };
}

testAnalyzer("POST /analyze counts one packet as JSON", { id: "a7" }, async (analyzer) => {
  for (const type of [JSON_TYPE, "application/json; charset=utf-8"]) {
    const response = await analyze(analyzer, packet("p1"), type);
    assertEquals(response.status, 200);
    assertEquals(await response.json(), { status: "processed", packets: 1, messages: 2 });
  }
  assertEquals(await analyzeStatus(analyzer, new TextEncoder().encode(packet("p2"))), 200);
  assertEquals(analyzer.ids(), new Map([["p1", 2], ["p2", 1]]));
  const stats = analyzer.stats();
  assertEquals(
    { ...stats, uptime_seconds: 0 },
    {
      id: "a7",
      packets: 3,
      messages: 6,
      distinct_packets: 2,
      repeated_packets: 1,
      bytes: 3 * packet("p1").length,
      requests: 3,
      batches: 0,
      by_level: { DEBUG: 0, INFO: 3, WARNING: 0, ERROR: 3, FATAL: 0, OTHER: 0 },
      uptime_seconds: 0,
    },
  );
});

testAnalyzer("POST /analyze takes a body without Content-Type or length", {}, async (analyzer) => {
  const body = new Blob([packet("p1")]).stream();
  const response = await fetch(`${analyzer.url}/analyze`, { method: "POST", body });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  assertEquals(analyzer.stats().bytes, packet("p1").length);
});

testAnalyzer("POST /analyze counts a batch as NDJSON, all or nothing", {}, async (analyzer) => {
  const batch = `${packet("p1")}\n${packet("p2")}\n`;
  const response = await analyze(analyzer, batch, NDJSON_TYPE);
  assertEquals(await response.json(), { status: "processed", packets: 2, messages: 4 });
  const refused = await analyze(analyzer, `${packet("p3")}\n{"log_messages":[]}`, NDJSON_TYPE);
  assertEquals(refused.status, 400);
  assertStringIncludes((await refused.json()).detail, "line 2");
  const { packets, requests, batches, bytes } = analyzer.stats();
  assertEquals([packets, requests, batches, bytes], [2, 2, 1, batch.length]);
  assert(!analyzer.ids().has("p3"));
});

const refusals: [name: string, status: number, init: RequestInit][] = [
  ["JSON that ends early", 400, { body: "{" }],
  ["an empty body", 400, { body: "" }],
  ["JSON that is not a packet", 400, { body: "[]" }],
  ["invalid UTF-8", 400, { body: new Uint8Array([0x22, 0xff, 0x22]) }],
  ["another Content-Type", 415, { headers: { "content-type": "text/csv" }, body: packet("p") }],
  ["a Content-Encoding", 415, { headers: { "content-encoding": "gzip" }, body: packet("p") }],
  ["a body beyond the bound", 413, { body: new Uint8Array(64 * 2 ** 20 + 1) }],
  ["another method", 405, { method: "PUT", body: packet("p") }],
];
for (const [name, status, init] of refusals) {
  testAnalyzer(`POST /analyze answers ${status} to ${name}`, {}, async (analyzer) => {
    const headers = { "content-type": JSON_TYPE };
    const response = await fetch(`${analyzer.url}/analyze`, { method: "POST", headers, ...init });
    assertEquals(response.status, status);
    assertEquals(response.headers.get("content-type"), "application/problem+json");
    assert((await response.json()).detail.length > 0);
    assertEquals(analyzer.stats().packets, 0);
  });
}

testAnalyzer("POST /analyze never answers 500 to a broken request", {}, async (analyzer) => {
  const heads = ["Host: a b", "Host: x/y?z", "Host: [", "Host:", "X: y", "Content-Length: x"];
  for (const head of heads) {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: analyzer.port });
    const text = `POST /analyze HTTP/1.1\r\n${head}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(text));
    const answer = new Uint8Array(64);
    const length = await connection.read(answer) ?? 0;
    assertStringIncludes(new TextDecoder().decode(answer.subarray(0, length)), "HTTP/1.1 4");
  }
});

testAnalyzer("GET /health offers both formats", { id: "a1" }, async (analyzer) => {
  const response = await fetch(`${analyzer.url}/health`);
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("accept-post"), "application/json, application/x-ndjson");
  assertEquals(await response.json(), { status: "healthy", id: "a1" });
});

testAnalyzer("batches: false imitates a seed analyzer", { batches: false }, async (analyzer) => {
  const health = await fetch(`${analyzer.url}/health`);
  assertEquals(health.headers.get("accept-post"), JSON_TYPE);
  await health.body?.cancel();
  const response = await analyze(analyzer, packet("p1"), NDJSON_TYPE);
  assertEquals(response.status, 415);
  assertEquals(response.headers.get("accept-post"), JSON_TYPE);
  await response.body?.cancel();
});

testAnalyzer("/stats tells ids when asked, and DELETE begins anew", {}, async (analyzer) => {
  await analyzeStatus(analyzer, packet("p1"));
  await analyzeStatus(analyzer, '{"log_messages":[{}]}');
  const plain = await (await fetch(`${analyzer.url}/stats`)).json();
  assertEquals([plain.packets, plain.ids], [2, undefined]);
  const full = await (await fetch(`${analyzer.url}/stats?ids=1`)).json();
  assertEquals(full.ids, { "p1": 1, "": 1 });
  const reset: Stats = await (await fetch(`${analyzer.url}/stats`, { method: "DELETE" })).json();
  assertEquals([reset.packets, reset.messages, reset.requests, reset.bytes], [0, 0, 0, 0]);
});

testAnalyzer("/faults reads, changes and clears the knobs", {}, async (analyzer) => {
  const off = await (await fetch(`${analyzer.url}/faults`)).json();
  assertEquals([off.latency, off["error-rate"], off.refuse], ["0", 0, false]);
  const changed = await (await patch(analyzer, { "latency": "50ms", "error-rate": 1 })).json();
  assertEquals(changed, { ...off, "latency": "50ms", "error-rate": 1 });
  assertEquals(analyzer.faults.read().latency, 50);
  const again = await (await patch(analyzer, { "latency": 0 })).json();
  assertEquals(again, { ...off, "error-rate": 1 });
  assertEquals(await (await fetch(`${analyzer.url}/faults`, { method: "DELETE" })).json(), off);
});

testAnalyzer("/faults applies nothing of a change with a bad knob", {}, async (analyzer) => {
  const response = await patch(analyzer, { "unhealthy": true, "error-rate": 2 });
  assertEquals(response.status, 422);
  const { detail, knob, allowed } = await response.json();
  assertEquals([knob, allowed], ["error-rate", "a number, at least 0 and at most 1"]);
  assertStringIncludes(detail, '"2"');
  assertEquals(analyzer.faults.read().unhealthy, false);
  const broken = await fetch(`${analyzer.url}/faults`, { method: "PATCH", body: "{" });
  assertEquals(broken.status, 400);
  await broken.body?.cancel();
});

testAnalyzer("error-rate answers error-code and counts nothing", {
  faults: { errorRate: 1, errorCode: 503, retryAfter: 3 },
}, async (analyzer) => {
  const response = await analyze(analyzer, packet("p1"));
  assertEquals([response.status, response.headers.get("retry-after")], [503, "3"]);
  await response.body?.cancel();
  assertEquals([analyzer.stats().packets, analyzer.stats().requests], [0, 1]);
  await analyzer.faults.clear();
  assertEquals(await analyzeStatus(analyzer, packet("p1")), 200);
});

testAnalyzer("reject-message fails the packets that contain it", {
  faults: { rejectMessage: "poison", errorCode: 400 },
}, async (analyzer) => {
  assertEquals(await analyzeStatus(analyzer, packet("p1", "a poison pill")), 400);
  assertEquals(await analyzeStatus(analyzer, packet("p2")), 200);
  const batch = `${packet("p3")}\n${packet("p4", "poison")}`;
  assertEquals(await analyzeStatus(analyzer, batch, NDJSON_TYPE), 400);
  assertEquals([...analyzer.ids().keys()], ["p2"]);
});

testAnalyzer("unhealthy fails /health and nothing else", {
  faults: { unhealthy: true },
}, async (analyzer) => {
  const response = await fetch(`${analyzer.url}/health`);
  assertEquals([response.status, (await response.json()).status], [503, "unhealthy"]);
  assertEquals(await analyzeStatus(analyzer, packet("p1")), 200);
});

Deno.test("latency and jitter delay each answer, errors too", async () => {
  const delaysMs: number[] = [];
  await using analyzer = await startMockAnalyzer({
    clock: createInstantClock(delaysMs),
    random: () => 0.5,
    faults: { latency: 40, jitter: 10 },
  });
  assertEquals(await analyzeStatus(analyzer, packet("p1")), 200);
  await analyzer.faults.set({ errorRate: 1 });
  assertEquals(await analyzeStatus(analyzer, packet("p2")), 500);
  assertEquals(delaysMs, [45, 45]);
});

Deno.test("slow-body spreads the answer's body over its time", async () => {
  const delaysMs: number[] = [];
  const clock = createInstantClock(delaysMs);
  await using analyzer = await startMockAnalyzer({ clock, faults: { slowBody: 960 } });
  const response = await analyze(analyzer, packet("p1"));
  assertEquals(await response.json(), { status: "processed", packets: 1, messages: 2 });
  assert(delaysMs.length > 10, `${delaysMs.length} pieces`);
  assertEquals(Math.round(delaysMs.reduce((a, b) => a + b)), 960);
});

Deno.test("hang-rate holds requests until it is cleared, and counts none of them", async () => {
  const { promise: drawn, resolve } = Promise.withResolvers<void>();
  let draws = 0;
  const random = () => {
    if (++draws === 3) resolve();
    return 0;
  };
  await using analyzer = await startMockAnalyzer({ random, faults: { hangRate: 1 } });
  const leaver = new AbortController();
  const left = fetch(`${analyzer.url}/health`, { signal: leaver.signal }).catch((e) => e.name);
  const statuses = Promise.all([
    analyzeStatus(analyzer, packet("p1")),
    fetch(`${analyzer.url}/health`).then(async (response) => {
      await response.body?.cancel();
      return response.status;
    }),
  ]);
  await drawn;
  leaver.abort();
  assertEquals(await left, "AbortError");
  const knobs = await (await fetch(`${analyzer.url}/faults`)).json();
  assertEquals(knobs["hang-rate"], 1);
  await analyzer.faults.clear();
  assertEquals(await statuses, [503, 503]);
  assertEquals(analyzer.stats().packets, 0);
});
