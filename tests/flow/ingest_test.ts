/** What agents may send, and what they are answered: every row of the contract's table. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { gzipSync } from "node:zlib";
import { makePacket } from "../support/agent.ts";
import { sendRaw } from "../support/raw_http.ts";
import { type Answer, type Body, submit } from "../support/submit.ts";
import { startSystem, type System } from "../support/system.ts";

const MAX_BODY = 4 * 1024 * 1024;
const GOOD = '{"log_messages":[{"level":"INFO","message":"hello"}]}';

function assertProblem({ status, headers, json }: Answer, expected: number, code: string): void {
  assertEquals([status, json.code], [expected, code], JSON.stringify(json));
  assertEquals(headers.get("content-type"), "application/problem+json");
  assertEquals(Object.keys(json).sort(), ["code", "detail", "status", "title", "type"]);
  assertEquals(json.status, expected);
}

function stream(...chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)));
}

function nested(depth: number): string {
  return `{"log_messages":[{}],"x":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
}

function sized(bytes: number): string {
  const empty = '{"log_messages":[{"message":""}]}';
  return `{"log_messages":[{"message":"${"x".repeat(bytes - empty.length)}"}]}`;
}

for (const durability of ["disk", "memory"]) {
  Deno.test(`ingest answers 202 with the contract's body, durability ${durability}`, async () => {
    await using system = await startSystem({
      weights: [1],
      flags: [`--durability=${durability}`],
    });
    await answersAccepted(system, durability);
    await system.conservation();
  });
}

async function answersAccepted(system: System, durability: string): Promise<void> {
  const own = await submit(system, '{"packet_id":"p-1","log_messages":[{}]}');
  assertEquals(own.status, 202);
  assertEquals(own.headers.get("content-type"), "application/json");
  assertEquals(own.json, {
    status: "accepted",
    message: "Log packet queued for processing",
    packet_id: "p-1",
    durability,
  });
  for (const id of ['"packet_id":null,', '"packet_id":"",', ""]) {
    const answer = await submit(system, `{${id}"log_messages":[{}]}`);
    assertMatch(answer.json.packet_id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  }
}

Deno.test("ingest takes every form of body that the contract allows", async () => {
  await using system = await startSystem({ weights: [1] });
  const form = "application/x-www-form-urlencoded";
  const rows: [name: string, body: Body, headers?: Record<string, string>, plain?: string][] = [
    ["no type", GOOD],
    ["charset", GOOD, { "content-type": "application/json; charset=utf-8" }],
    ["upper case", GOOD, { "content-type": "Application/JSON" }],
    ["curl -d", GOOD, { "content-type": form }],
    ["chunked", stream(GOOD.slice(0, 20), GOOD.slice(20)), {}, GOOD],
    ["identity", GOOD, { "content-encoding": "identity" }],
    ["gzip", new Uint8Array(gzipSync(GOOD)), { "content-encoding": "gzip" }, GOOD],
    ["blanks around", ` \r\n\t${GOOD}\n`],
    ["unknown fields", '{"a":{"b":[null,true,-0.5e-3]},"log_messages":[{"zzz":[]}]}'],
    ["depth 32", nested(32)],
    ["exactly the limit", sized(MAX_BODY)],
  ];
  for (const [name, body, headers = {}, plain] of rows) {
    const answer = await submit(system, body, { headers, ...(plain ? { plain } : {}) });
    assertEquals(answer.status, 202, `${name}: ${JSON.stringify(answer.json)}`);
  }
  await system.conservation();
});

Deno.test("ingest answers 400 to what is not JSON, not UTF-8 or too deep", async () => {
  await using system = await startSystem();
  const rows: [name: string, body: Body, code: string][] = [
    ["empty", "", "INVALID_JSON"],
    ["word", "hello", "INVALID_JSON"],
    ["half", GOOD.slice(0, -1), "INVALID_JSON"],
    ["two", GOOD + GOOD, "INVALID_JSON"],
    ["trailing comma", '{"log_messages":[{},]}', "INVALID_JSON"],
    ["NaN", '{"log_messages":[{"a":NaN}]}', "INVALID_JSON"],
    ["byte order mark", `\uFEFF${GOOD}`, "INVALID_JSON"],
    ["raw control character", '{"log_messages":[{"a":"\n"}]}', "INVALID_JSON"],
    ["latin-1", Uint8Array.from([...new TextEncoder().encode('{"a":"'), 0xe9]), "INVALID_JSON"],
    ["depth 33", nested(33), "TOO_DEEP"],
    ["depth 100,000", nested(100_000), "TOO_DEEP"],
  ];
  for (const [, body, code] of rows) assertProblem(await submit(system, body), 400, code);

  const latin1 = Uint8Array.from(
    '{"log_messages":[{"message":"caf\xe9"}]}',
    (c) => c.charCodeAt(0),
  );
  assertProblem(await submit(system, latin1), 400, "INVALID_UTF8");
  const zipped = { "content-encoding": "gzip" };
  assertProblem(await submit(system, GOOD, { headers: zipped }), 400, "INVALID_ENCODING");
  const half = new Uint8Array(gzipSync(GOOD)).subarray(0, 20);
  assertProblem(await submit(system, half, { headers: zipped }), 400, "INVALID_ENCODING");
  await system.conservation();
});

Deno.test("ingest answers 422 to JSON that is not a packet, naming the field", async () => {
  await using system = await startSystem();
  const rows: [body: string, field: string][] = [
    ["null", "JSON object"],
    ["[]", "JSON object"],
    ['"text"', "JSON object"],
    ["12345678901234567890", "JSON object"],
    ["{}", "log_messages is missing"],
    ['{"log_messages":null}', "log_messages must be an array"],
    ['{"log_messages":{}}', "log_messages must be an array"],
    ['{"log_messages":[]}', "log_messages is empty"],
    ['{"log_messages":[{},1]}', "log_messages[1]"],
    ['{"log_messages":[[]]}', "log_messages[0]"],
    ['{"packet_id":7,"log_messages":[{}]}', "packet_id"],
    [`{"packet_id":"${"x".repeat(257)}","log_messages":[{}]}`, "packet_id"],
  ];
  for (const [body, field] of rows) {
    const answer = await submit(system, body);
    assertProblem(answer, 422, "INVALID_PACKET");
    assertStringIncludes(answer.json.detail, field);
  }
  const { rejected } = await system.metrics();
  assertEquals(rejected, { packets: rows.length, by_code: { INVALID_PACKET: rows.length } });
  await system.conservation();
});

Deno.test("ingest answers 413 to a body over 4 MiB, sent, streamed, announced or inflated", async () => {
  await using system = await startSystem();
  assertProblem(await submit(system, sized(MAX_BODY + 1)), 413, "BODY_TOO_LARGE");
  const chunks = Array.from({ length: 5 }, () => " ".repeat(1024 * 1024));
  assertProblem(await submit(system, stream(...chunks)), 413, "BODY_TOO_LARGE");
  const bomb = new Uint8Array(gzipSync(" ".repeat(64 * 1024 * 1024)));
  const headers = { "content-encoding": "gzip" };
  assertProblem(await submit(system, bomb, { headers }), 413, "BODY_TOO_LARGE");
  const announced = await sendRaw(
    system.url,
    `POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
      `Content-Length: ${MAX_BODY + 1}\r\n\r\n`,
    500,
  );
  assertEquals(announced.status, 413);
  await system.conservation();
});

Deno.test("a client that is still sending sees why it is refused", async () => {
  const flags = ["--durability=memory", "--queue-size=1", "--drain-timeout=0"];
  await using system = await startSystem({ flags });
  assertEquals(await system.agent.post(makePacket("only")), 202);
  const long = (mebibytes: number) =>
    stream(...Array.from({ length: mebibytes }, () => " ".repeat(1024 * 1024)));
  const typed = { headers: { "content-type": "text/plain" } };
  assertProblem(await submit(system, sized(3 * 2 ** 20)), 503, "QUEUE_FULL");
  assertProblem(await submit(system, long(15)), 503, "QUEUE_FULL");
  assertProblem(await submit(system, sized(MAX_BODY), typed), 415, "UNSUPPORTED_TYPE");
  assertProblem(await submit(system, long(15), typed), 415, "UNSUPPORTED_TYPE");
  for (const path of ["/nothing", "/health", "/api/v1/analyzers"]) {
    const response = await fetch(system.url + path, { method: "POST", body: long(8) });
    await response.body?.cancel();
    assert([404, 405, 415].includes(response.status), path);
  }
  await system.conservation({ queued: 1 });
});

Deno.test("ingest answers 415 and says what it takes", async () => {
  await using system = await startSystem();
  for (const type of ["text/plain", "application/x-ndjson", "multipart/form-data; boundary=x"]) {
    const answer = await submit(system, GOOD, { headers: { "content-type": type } });
    assertProblem(answer, 415, "UNSUPPORTED_TYPE");
    assertEquals(answer.headers.get("accept-post"), "application/json");
  }
  const form = { "content-type": "application/x-www-form-urlencoded" };
  assertProblem(await submit(system, "a=1&b=2", { headers: form }), 415, "UNSUPPORTED_TYPE");
  for (const encoding of ["br", "zstd", "gzip, gzip", "deflate"]) {
    const answer = await submit(system, GOOD, { headers: { "content-encoding": encoding } });
    assertProblem(answer, 415, "UNSUPPORTED_ENCODING");
    assertEquals(answer.headers.get("accept-encoding"), "gzip");
  }
  const typos = ['{"log_messages":[', "", " \n[1", "{'a': 1}"];
  for (const body of typos) {
    const isJson = body !== "";
    const answer = await submit(system, body, { headers: form });
    assertProblem(answer, isJson ? 400 : 415, isJson ? "INVALID_JSON" : "UNSUPPORTED_TYPE");
  }
  await system.conservation();
});

Deno.test("ingest answers 503 with Retry-After when the queue is full", async () => {
  const flags = ["--durability=memory", "--queue-size=1", "--drain-timeout=0"];
  await using system = await startSystem({ flags });
  assertEquals(await system.agent.post(makePacket("only")), 202);
  const answer = await submit(system, GOOD);
  assertProblem(answer, 503, "QUEUE_FULL");
  assertEquals(answer.headers.get("retry-after"), "1");
  await system.conservation({ queued: 1 });
});

Deno.test("known paths answer 405 with Allow, unknown ones 404", async () => {
  await using system = await startSystem();
  const rows: [path: string, allow: string][] = [
    ["/api/v1/logs", "POST"],
    ["/api/v1/analyzers", "GET, HEAD, POST"],
    ["/api/v1/analyzers/a", "DELETE, GET, HEAD, PATCH"],
    ["/api/v1/metrics", "GET, HEAD"],
    ["/api/v1/dead-letters", "DELETE, GET, HEAD"],
    ["/api/v1/dead-letters/a", "DELETE, GET, HEAD"],
    ["/health", "GET, HEAD"],
    ["/livez", "GET, HEAD"],
    ["/readyz", "GET, HEAD"],
    ["/metrics", "GET, HEAD"],
    ["/api/v1/events", "GET, HEAD"],
    ["/", "GET, HEAD"],
  ];
  for (const [path, allow] of rows) {
    for (const method of ["PUT", "OPTIONS"]) {
      const response = await fetch(`${system.url}${path}`, { method });
      const { status, headers } = response;
      const json = await response.json();
      assertProblem({ status, headers, json }, 405, "METHOD_NOT_ALLOWED");
      assertEquals(headers.get("allow")?.split(", ").sort().join(", "), allow, `${method} ${path}`);
    }
  }
  const head = await fetch(`${system.url}/api/v1/metrics`, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
  const logsHead = await fetch(`${system.url}/api/v1/logs`, { method: "HEAD" });
  assertEquals([logsHead.status, logsHead.headers.get("allow")], [405, "POST"]);
  for (const path of ["/dashboard", "/api/v1/log", "/api/v1/logs/", "/analyze", "/API/v1/logs"]) {
    const { status, json } = await system.call("GET", path);
    assertEquals([status, json.code], [404, "NOT_FOUND"], path);
  }
  await system.conservation();
});

Deno.test("a Host header that names another path is answered 400", async () => {
  await using system = await startSystem();
  const hosts = ["x/api/v1/analyzers?", "x/", "a b", "user@host", "[::1", "x:port", "", "x?", "x#"];
  for (const host of hosts) {
    const answer = await sendRaw(
      system.url,
      `GET /api/v1/metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    assertEquals(answer.status, 400, `Host ${JSON.stringify(host)}: ${answer.text}`);
  }
  for (const host of ["localhost", "127.0.0.1:8080", "[::1]:8080", "a-b.example"]) {
    const answer = await sendRaw(
      system.url,
      `GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    assertEquals(answer.status, 200, host);
  }
  await system.conservation();
});
