/** Random garbage, seeded: nothing is answered 500, and what is accepted is delivered. */

import { assert, assertMatch } from "@std/assert";
import { type Random, seededRandom } from "../../src/random.ts";
import { Recorder } from "../support/recorder.ts";
import { sendRaw } from "../support/raw_http.ts";
import { startSystem, type System } from "../support/system.ts";

const REQUESTS = 500;
const RAW_REQUESTS = 100;
const SEED = 7;

const METHODS = ["POST", "POST", "POST", "POST", "PATCH", "DELETE", "PUT"];
const PATHS = [
  ...Array(12).fill("/api/v1/logs"),
  "/api/v1/analyzers",
  "/api/v1/analyzers/x",
  "/api/v1/analyzers/%E0%A4%A",
  "/api/v1/analyzers/__proto__",
  "/api/v1/dead-letters",
  "/api/v1/dead-letters/replay",
  "/api/v1/dead-letters/%00",
  "/api/v1/dead-letters?limit=-1&offset=%zz",
];
const TYPES = [
  "application/json",
  "application/json",
  "application/x-www-form-urlencoded",
  "a",
  "",
];
const ENCODINGS = ["", "", "", "gzip", "x-gzip", "identity", "br"];
const TOKENS = [
  ...'{}[],:"\\ \n\0',
  "null",
  "1e999",
  "-",
  '"log_messages"',
  '"packet_id"',
  "\ud83d",
];

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

function makeBytes(random: Random, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** Noise, a heap of JSON's tokens, or a good packet with a few bytes turned. */
function makeBody(random: Random, number: number): Uint8Array<ArrayBuffer> {
  const kind = random();
  if (kind < 0.2) return makeBytes(random, Math.floor(200 * random()));
  if (kind < 0.4) {
    const tokens = Array.from({ length: Math.floor(40 * random()) }, () => pick(random, TOKENS));
    return new TextEncoder().encode(tokens.join(""));
  }
  const text = `{"packet_id":"garbage-${number}","log_messages":[{"message":"héllo","n":[1,2e3]}]}`;
  const bytes = new TextEncoder().encode(text);
  for (let flips = Math.floor(4 * random()); flips > 0; flips--) {
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  }
  return bytes;
}

function makeHeaders(random: Random): Headers {
  const headers = new Headers();
  const type = pick(random, TYPES);
  if (type !== "") headers.set("content-type", type);
  const encoding = pick(random, ENCODINGS);
  if (encoding !== "") headers.set("content-encoding", encoding);
  return headers;
}

async function sendGarbage(
  { url, agent }: System,
  random: Random,
  number: number,
): Promise<number> {
  const path = pick(random, PATHS);
  const body = makeBody(random, number);
  const init = { method: pick(random, METHODS), headers: makeHeaders(random), body };
  const response = await fetch(`${url}${path}`, init);
  const answer = await response.json();
  const shown = `${init.method} ${path} ${JSON.stringify(new TextDecoder().decode(body))}`;
  assert(response.status < 500, `${shown}: ${response.status} ${JSON.stringify(answer)}`);
  if (response.status === 202) {
    const messages = JSON.parse(new TextDecoder().decode(body)).log_messages.length;
    agent.attempted.add(answer.packet_id);
    agent.acknowledged.set(answer.packet_id, messages);
  } else if (response.status >= 400) {
    assertMatch(answer.code, /^[A-Z0-9_]+$/, shown);
  }
  return response.status;
}

Deno.test("garbage is never answered 500", async () => {
  await using recorder = new Recorder();
  await using system = await startSystem();
  await system.register({ id: "recorder", url: recorder.url, weight: 1 });
  const random = seededRandom(SEED);
  const statuses = new Map<number, number>();
  for (let number = 0; number < REQUESTS; number++) {
    const status = await sendGarbage(system, random, number);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  for (const status of [202, 400, 404, 405, 415, 422]) {
    assert(statuses.has(status), `the garbage is varied enough to be answered ${status}`);
  }
  await system.conservation({ seen: () => recorder.seen() });
});

Deno.test("garbage in place of HTTP is never answered 500 and stops nothing", async () => {
  await using system = await startSystem({ weights: [1] });
  const random = seededRandom(SEED);
  const good =
    "POST /api/v1/logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
  const bases = [
    good,
    good.replace("POST /api", "POST http://other/api"),
    good.replace("POST /api/v1/logs", "OPTIONS *"),
    good.replace("Host: a", "Host: 1.2.3.4.5"),
    good.replace("Host: a\r\n", ""),
    good.replace("1.1", "1.0").replace("Host: a\r\n", ""),
    good.replace("POST /api/v1/logs", "GET //[/api/%/../..?%"),
    good.replace("Content-Length: 2", "Transfer-Encoding: chunked"),
    good.replace("Content-Length: 2", "Content-Length: 2\r\nContent-Length: 3"),
    good.replace("Content-Length: 2", "Content-Length: -1"),
  ];
  const answers = await Promise.all(Array.from({ length: RAW_REQUESTS }, (_, i) => {
    const bytes = new TextEncoder().encode(bases[i % bases.length]!);
    for (let flips = Math.floor(i / bases.length); flips > 0; flips--) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    return sendRaw(system.url, bytes, 1000);
  }));
  for (const { status, text } of answers) assert(status < 500, text);
  assert(answers.some(({ status }) => status === 422));
  await system.agent.post({
    id: "after",
    messages: 1,
    body: '{"packet_id":"after","log_messages":[{}]}',
  });
  await system.conservation();
});
