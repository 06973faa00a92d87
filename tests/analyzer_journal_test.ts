/** `analyzer --journal`: the ids of processed packets on stdout, before the answers. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { startMockAnalyzer } from "../analyzers/mock_analyzer.ts";

const PROFILE = (Deno.env.get("DENO_PROFILE") ?? "").split(/\s+/).filter(Boolean);
const ROOT = new URL("..", import.meta.url);

function packet(id: string): string {
  return `{"packet_id":"${id}","log_messages":[{"level":"INFO"}]}`;
}

async function analyze(url: string, body: string, type = "application/json"): Promise<number> {
  const headers = { "content-type": type };
  const response = await fetch(`${url}/analyze`, { method: "POST", headers, body });
  await response.body?.cancel();
  return response.status;
}

Deno.test("analyzer.journal is told of what is answered 2xx, request by request", async () => {
  const told: (readonly string[])[] = [];
  await using analyzer = await startMockAnalyzer({ journal: (ids) => told.push(ids) });
  assertEquals(await analyze(analyzer.url, packet("p1")), 200);
  const batch = `${packet("p2")}\n${packet("p3")}\n`;
  assertEquals(await analyze(analyzer.url, batch, "application/x-ndjson"), 200);
  assertEquals(await analyze(analyzer.url, '{"log_messages":[{}]}'), 200);
  assertEquals(await analyze(analyzer.url, "{}"), 400);
  await analyzer.faults.set({ errorRate: 1 });
  assertEquals(await analyze(analyzer.url, packet("p4")), 500);
  assertEquals(told, [["p1"], ["p2", "p3"], []]);
});

Deno.test("analyzer -journal leaves on stdout, when killed, the ids of all it has answered", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", ...PROFILE, "--no-prompt", "--allow-net", "analyzers/main.ts"],
      ...["-port", "0", "-journal"],
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  const { value: start = "" } = await reader.read();
  assertStringIncludes(start, "is listening on");
  const url = /http:\S+?(?=[,;])/.exec(start)![0];
  const ids = Array.from({ length: 20 }, (_, i) => `p${i}`);
  for (const id of ids) assertEquals(await analyze(url, packet(id)), 200);
  child.kill("SIGKILL");
  const stdout = await new Response(child.stdout).text();
  assertEquals(stdout, ids.map((id) => `${id}\n`).join(""));
  await reader.cancel();
  await child.status;
});
