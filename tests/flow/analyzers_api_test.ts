/** The operators' API for analyzers: section 4 of the contract. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { sendRaw } from "../support/raw_http.ts";
import { startSystem, type System } from "../support/system.ts";

const PATH = "/api/v1/analyzers";
const GOOD = { id: "a", url: "http://127.0.0.1:9", weight: 1 };

async function targets(system: System): Promise<Record<string, number>> {
  const { json } = await system.call("GET", PATH);
  return Object.fromEntries(
    json.analyzers.map((view: { id: string; share: { target: number } }) => [
      view.id,
      Math.round(view.share.target * 1e9) / 1e9,
    ]),
  );
}

Deno.test("analyzers are created, read, changed and removed", async () => {
  await using system = await startSystem();
  const created = await system.call("POST", PATH, GOOD);
  assertEquals(created.status, 201);
  const { analyzer, ...rest } = created.json;
  assertEquals(rest, { status: "created", message: "Analyzer added successfully" });
  assertEquals(
    [analyzer.id, analyzer.url, analyzer.weight, analyzer.state, analyzer.eligible],
    ["a", "http://127.0.0.1:9", 1, "healthy", true],
  );

  const item = await system.call("GET", `${PATH}/a`);
  assertEquals([item.status, item.json.id, item.json.share.target], [200, "a", 1]);
  const list = await system.call("GET", PATH);
  assertEquals(list.json.analyzers.map(({ id }: { id: string }) => id), ["a"]);

  const changed = await system.call("PATCH", `${PATH}/a`, { weight: 2.5, paused: true });
  assertEquals([changed.status, changed.json.status], [200, "updated"]);
  assertEquals([changed.json.analyzer.weight, changed.json.analyzer.paused], [2.5, true]);
  assertEquals(changed.json.analyzer.eligible, false);

  const removed = await system.call("DELETE", `${PATH}/a`);
  assertEquals(removed, {
    status: 200,
    json: { status: "deleted", message: "Analyzer removed successfully" },
  });
  assertEquals((await system.call("GET", PATH)).json, { analyzers: [] });
  await system.conservation();
});

Deno.test("the seed's curl commands work word for word", async () => {
  await using system = await startSystem();
  const bodies = [
    '{"id":"analyzer1","url":"http://localhost:8081","weight":0.4}',
    '{"id":"analyzer2","url":"http://localhost:8082","weight":0.3}',
    '{"id":"analyzer3","url":"http://localhost:8083","weight":0.2}',
    '{"id":"analyzer4","url":"http://localhost:8084","weight":0.1}',
  ];
  for (const body of bodies) {
    const response = await fetch(`${system.url}${PATH}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    assertEquals([response.status, (await response.json()).status], [201, "created"]);
  }
  assertEquals(await targets(system), {
    analyzer1: 0.4,
    analyzer2: 0.3,
    analyzer3: 0.2,
    analyzer4: 0.1,
  });
  await system.conservation();
});

Deno.test("registering an analyzer twice updates it and doubles nothing", async () => {
  await using system = await startSystem({ weights: [1, 1] });
  await system.agent.sendAll(Array.from({ length: 20 }, (_, i) => makePacket(`first-${i}`)));
  await system.settles();
  const { url } = system.fleet.get("analyzer1");
  const again = await system.call("POST", PATH, { id: "analyzer1", url, weight: 1 });
  assertEquals([again.status, again.json.status], [200, "updated"]);
  assertEquals(again.json.message, "Analyzer updated successfully");
  assertEquals(await targets(system), { analyzer1: 0.5, analyzer2: 0.5 });

  assertEquals(await system.register({ id: "analyzer1", url: `${url}/`, weight: 3 }), 200);
  assertEquals(await targets(system), { analyzer1: 0.75, analyzer2: 0.25 });

  // Another URL is another server of the same name: its record stays with the name.
  const before = await system.analyzer("analyzer1");
  await system.fleet.add("elsewhere", 1);
  const moved = { id: "analyzer1", url: system.fleet.get("elsewhere").url, weight: 1 };
  assertEquals(await system.register(moved), 200);
  const after = await system.analyzer("analyzer1");
  assertEquals([after.url, after.delivered], [moved.url, before.delivered]);
  await system.agent.sendAll(Array.from({ length: 20 }, (_, i) => makePacket(`second-${i}`)));
  await system.conservation();
  assert(system.fleet.seenBy("elsewhere").size > 0);
});

Deno.test("a bad analyzer is answered 422, naming the field", async () => {
  await using system = await startSystem();
  const rows: [body: unknown, field: string][] = [
    [null, "JSON object"],
    [[], "JSON object"],
    [{ ...GOOD, id: undefined }, "id"],
    [{ ...GOOD, id: "" }, "id"],
    [{ ...GOOD, id: "x".repeat(65) }, "id"],
    [{ ...GOOD, id: "a b" }, "id"],
    [{ ...GOOD, id: "../a" }, "id"],
    [{ ...GOOD, id: 7 }, "id"],
    [{ ...GOOD, url: undefined }, "url"],
    [{ ...GOOD, url: "localhost:8081" }, "url"],
    [{ ...GOOD, url: "ftp://localhost" }, "url"],
    [{ ...GOOD, url: "http://user:secret@localhost" }, "url"],
    [{ ...GOOD, url: "http://localhost?x=1" }, "url"],
    [{ ...GOOD, weight: undefined }, "weight"],
    [{ ...GOOD, weight: 0 }, "weight"],
    [{ ...GOOD, weight: -1 }, "weight"],
    [{ ...GOOD, weight: 1_000_001 }, "weight"],
    [{ ...GOOD, weight: "1" }, "weight"],
    [{ ...GOOD, weight: null }, "weight"],
  ];
  for (const [body, field] of rows) {
    const { status, json } = await system.call("POST", PATH, body);
    assertEquals([status, json.code], [422, "INVALID_ANALYZER"], JSON.stringify(body));
    assertStringIncludes(json.detail, field);
  }
  assertEquals((await system.call("GET", PATH)).json, { analyzers: [] });
  await system.conservation();
});

Deno.test("a bad change is answered 422 and changes nothing", async () => {
  await using system = await startSystem();
  await system.register(GOOD);
  const rows: [body: unknown, word: string][] = [
    [{}, "weight, paused or both"],
    [[], "JSON object"],
    [{ weight: 0 }, "weight"],
    [{ weight: 5, paused: "yes" }, "paused"],
    [{ url: "http://localhost:1" }, "url"],
  ];
  for (const [body, word] of rows) {
    const { status, json } = await system.call("PATCH", `${PATH}/a`, body);
    assertEquals([status, json.code], [422, "INVALID_ANALYZER"], JSON.stringify(body));
    assertStringIncludes(json.detail, word);
  }
  assertEquals((await system.analyzer("a")).weight, 1);
  await system.conservation();
});

Deno.test("orders must be JSON and not from another site's page", async () => {
  await using system = await startSystem();
  const post = async (headers: Record<string, string>, body: string) => {
    const response = await fetch(`${system.url}${PATH}`, {
      method: "POST",
      headers,
      body: new Blob([body]),
    });
    return [response.status, (await response.json()).code];
  };
  const json = { "content-type": "application/json" };
  const good = JSON.stringify(GOOD);
  assertEquals(await post({}, good), [415, "UNSUPPORTED_TYPE"]);
  assertEquals(await post({ "content-type": "text/plain" }, good), [415, "UNSUPPORTED_TYPE"]);
  assertEquals(await post(json, "{"), [400, "INVALID_JSON"]);
  assertEquals(await post(json, ""), [400, "INVALID_JSON"]);
  assertEquals(await post({ ...json, origin: "http://evil.example" }, good), [403, "CROSS_ORIGIN"]);
  assertEquals(await post({ ...json, origin: "null" }, good), [403, "CROSS_ORIGIN"]);
  assertEquals(await post({ ...json, origin: system.url }, good), [201, undefined]);
  await system.conservation();
});

Deno.test({
  name: "an order over 1 MiB is answered 413",
  fn: async () => {
    await using system = await startSystem();
    const body = new Blob([" ".repeat(1024 * 1024 + 1)], { type: "application/json" });
    const response = await fetch(`${system.url}${PATH}`, { method: "POST", body });
    assertEquals([response.status, (await response.json()).code], [413, "BODY_TOO_LARGE"]);
    await system.conservation();
  },
});

Deno.test("an unknown analyzer is answered 404", async () => {
  await using system = await startSystem();
  for (const method of ["GET", "PATCH", "DELETE"]) {
    for (const id of ["nobody", "__proto__", "%E0%A4%A"]) {
      const body = method === "PATCH" ? { weight: 1 } : undefined;
      const { status, json } = await system.call(method, `${PATH}/${id}`, body);
      assertEquals([status, json.code], [404, "ANALYZER_NOT_FOUND"], `${method} ${id}`);
    }
  }
  await system.conservation();
});

Deno.test("what is in flight to a removed analyzer is still counted", async () => {
  await using system = await startSystem({ weights: [1], analyzers: { batches: false } });
  const analyzer = system.fleet.get("analyzer1");
  await analyzer.faults.set({ latency: 300 });
  await system.agent.sendAll(Array.from({ length: 10 }, (_, i) => makePacket(`late-${i}`, 2)));
  assertEquals((await system.metrics()).in_flight, { packets: 10, messages: 20 });
  assertEquals((await system.call("DELETE", `${PATH}/analyzer1`)).status, 200);
  await system.conservation();
  assertEquals((await system.metrics()).delivered, { packets: 10, messages: 20 });
});

Deno.test("operators' routes answer to no name that a stranger could own, and say what to do", async () => {
  await using system = await startSystem({ weights: [1] });
  const { port } = new URL(system.url);
  const ask = async (line: string, host: string, rest = "") => {
    const text = `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${rest}\r\n`;
    return await sendRaw(system.url, text);
  };
  const evil = `evil.example:${port}`;
  const paths = ["/", "/api/v1/analyzers", "/api/v1/%61nalyzers", "/api/v1/metrics"];
  for (const path of [...paths, "/api/v1/dead-letters", "/api/v1/events", "/nowhere"]) {
    const { status, text } = await ask(`GET ${path}`, evil);
    assertEquals(status, 421, path);
    assert(text.includes("--allowed-hosts=evil.example"), text);
  }
  const origin = `Origin: http://${evil}\r\n`;
  assertEquals((await ask("DELETE /api/v1/analyzers/analyzer1", evil, origin)).status, 421);
  for (const path of ["/metrics", "/health", "/livez", "/readyz"]) {
    for (const host of [evil, `distributor.1:${port}`, "1.2.3.4.5", "xn--.com"]) {
      assertEquals((await ask(`GET ${path}`, host)).status, 200, `${path} of ${host}`);
    }
  }
  assertEquals((await ask("GET /api/v1/analyzers", "xn--.com")).status, 421);
  const nameless = await sendRaw(system.url, "GET /api/v1/analyzers HTTP/1.0\r\n\r\n");
  assertEquals([0, 200, 421].includes(nameless.status), true, String(nameless.status));
  for (
    const host of [`localhost:${port}`, `distributor:${port}`, "127.0.0.1", "x.svc.cluster.local"]
  ) {
    assertEquals((await ask("GET /api/v1/analyzers", host)).status, 200, host);
  }
  assertEquals((await system.metrics()).analyzers.length, 1);
});

Deno.test("--allowed-hosts lets in a name of one's own", async () => {
  await using system = await startSystem({ flags: ["--allowed-hosts=logs.example.com"] });
  const text =
    "GET /api/v1/analyzers HTTP/1.1\r\nHost: logs.example.com\r\nConnection: close\r\n\r\n";
  assertEquals((await sendRaw(system.url, text)).status, 200);
});
