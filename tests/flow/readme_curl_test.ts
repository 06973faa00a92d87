/** README's command lines of curl, each sent as it stands there, and what comes of it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { findCurlLines, parseCurl } from "../support/curl.ts";
import { readText } from "../support/documents.ts";
import { startSystem, type System } from "../support/system.ts";

const README_URL = "http://localhost:8080";
const POISON = "this message is poison";
/** Packet ids that README's lines name. */
const IDS = ["agent-7-000123", "agent-7-000124"];

/** The lines below a heading of README, up to the next. */
function linesBelow(heading: string): string[] {
  const [, below = ""] = readText("README.md").split(`\n### ${heading}\n`);
  return findCurlLines(below.split(/\n##+ /)[0]!);
}

// deno-lint-ignore no-explicit-any
type Answer = { status: number; text: string; json: any };

async function send(system: System, line: string): Promise<Answer> {
  assert(line.includes(README_URL), line);
  const response = await fetch(parseCurl(line.replace(README_URL, system.url)));
  const text = await response.text();
  return { status: response.status, text, json: JSON.parse(text) };
}

/** A system whose only analyzer rejects two packets of README's ids. */
async function startPoisoned(): Promise<System> {
  const system = await startSystem({ weights: [1], flags: ["--retry-interval=0"] });
  await system.fleet.get("analyzer1").faults.set({ rejectMessage: POISON, errorCode: 422 });
  await system.agent.sendAll(IDS.map((id) => makePacket(id, 1, POISON)));
  await system.settles();
  return system;
}

Deno.test("README's curl lines about analyzers work one after the other", async () => {
  await using system = await startSystem({ weights: [1] });
  const seen: [status: number, says: string][] = [
    [200, '{"analyzers":[{"id":"analyzer1"'],
    [200, '"weight":1'],
    [200, '"weight":0.5'],
    [200, '"paused":true'],
    [200, '"paused":false'],
    [200, "Analyzer removed successfully"],
  ];
  const lines = linesBelow("Analyzers");
  assertEquals(lines.length, seen.length);
  for (const [i, line] of lines.entries()) {
    const { status, text } = await send(system, line);
    assertEquals(status, seen[i]![0], line);
    assertStringIncludes(text, seen[i]![1], line);
  }
  await system.conservation();
});

Deno.test("README's curl lines about dead letters work, each where there are some", async () => {
  const lines = linesBelow("Dead letters");
  const seen: ((answer: Answer) => void)[] = [
    ({ json }) => assertEquals([json.total, json.dead_letters.length], [2, 2]),
    ({ json }) => assertEquals(json.packet_id, IDS[0]),
    ({ json }) => assertEquals([json.replayed, json.not_found], [2, []]),
    ({ json }) => assertEquals(json, { status: "replayed", replayed: 2 }),
    ({ json }) => assertEquals(json, { status: "replayed", replayed: 2 }),
    ({ json }) => assertEquals(json, { status: "deleted", deleted: 1 }),
    ({ json }) => assertEquals([json.deleted, json.not_found], [0, [IDS[0]]]),
    ({ json }) => assertEquals(json, { status: "deleted", deleted: 0 }),
    ({ json }) => assertEquals(json, { status: "deleted", deleted: 1 }),
  ];
  assertEquals(lines.length, seen.length);
  await using system = await startPoisoned();
  for (const [i, line] of lines.entries()) {
    const answer = await send(system, line);
    assertEquals(answer.status, 200, line);
    seen[i]!(answer);
    await system.settles();
  }
  await system.conservation({ deleted: IDS });
});

Deno.test("README's orders are answered 415 without their -H", async () => {
  await using system = await startPoisoned();
  const lines = [...linesBelow("Analyzers"), ...linesBelow("Dead letters")]
    .filter((line) => line.includes(" -d "));
  assertEquals(lines.length, 9);
  for (const line of lines) {
    const { status, json } = await send(system, line.replace(/ -H "[^"]*"/, ""));
    assertEquals([status, json.code], [415, "UNSUPPORTED_TYPE"], line);
  }
  await system.conservation();
});
