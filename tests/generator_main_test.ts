import { assert, assertEquals, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import type { RunReport } from "../generator/report.ts";
import type { LogPacket } from "../src/packet.ts";
import denoConfig from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const PROFILE = (Deno.env.get("DENO_PROFILE") ?? "").split(/\s+/).filter(Boolean);

function spawnGenerator(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", ...PROFILE, "generator/main.ts", ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function finish(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function runGenerator(...args: string[]) {
  return await finish(spawnGenerator(...args));
}

/** Answers each packet and keeps it. */
function serve(answer: (packet: LogPacket, index: number) => Response | Promise<Response>) {
  const packets: LogPacket[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    assertEquals(new URL(request.url).pathname, "/api/v1/logs");
    const packet: LogPacket = await request.json();
    packets.push(packet);
    return await answer(packet, packets.length - 1);
  });
  return {
    packets,
    url: `http://localhost:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function accept(): Response {
  return Response.json({ status: "accepted" }, { status: 202 });
}

Deno.test("generator sends exactly the packets asked for and reports them as JSON", async () => {
  await using server = serve(accept);
  const args = ["-url", server.url, "-rate", "2000", "-batch", "1..20", "-packets", "500"];
  const { code, stdout, stderr } = await runGenerator(...args, "--json", "--seed=9", "-agent=a1");
  const report: RunReport = JSON.parse(stdout);
  const messages = server.packets.reduce((sum, packet) => sum + packet.log_messages.length, 0);
  assertEquals([code, stderr], [0, ""]);
  assertEquals([report.sent, report.accepted, report.failed, report.refused], [500, 500, 0, 0]);
  assertEquals(new Set(server.packets.map((packet) => packet.packet_id)).size, 500);
  assertEquals([report.messages_sent, report.messages_accepted], [messages, messages]);
  assertEquals([report.seed, report.agent, report.batch], [9, "a1", "1..20"]);
  assertEquals(report.by_status, { "202": 500 });
  assertGreaterOrEqual(report.latency_ms.max, report.latency_ms.p50);
});

Deno.test("generator sends rate times duration packets and prints a report for people", async () => {
  await using server = serve(accept);
  const args = ["-url", `${server.url}/`, "-rate", "40", "-batch", "10", "-duration", "500ms"];
  const { code, stdout } = await runGenerator(...args);
  assertEquals([code, server.packets.length], [0, 20]);
  assertStringIncludes(stdout, "  sent      20  200 messages\n  accepted  20  200 messages\n");
  assertStringIncludes(stdout, "latency   p50 ");
});

Deno.test("generator exits 0 when refused, and with --retry loses nothing", async () => {
  const refuse = () => new Response(null, { status: 503, headers: { "retry-after": "0" } });
  await using server = serve((_packet, index) => index % 2 === 0 ? refuse() : accept());
  const args = ["--url", server.url, "--rate=100", "--packets=10", "--concurrency=1", "--json"];
  const plain = await runGenerator(...args);
  const { sent, accepted, refused, retried }: RunReport = JSON.parse(plain.stdout);
  assertEquals([plain.code, sent, accepted, refused, retried], [0, 10, 5, 5, 0]);

  server.packets.length = 0;
  const resent: RunReport = JSON.parse((await runGenerator(...args, "--retry")).stdout);
  assertEquals([resent.sent, resent.accepted, resent.refused, resent.retried], [10, 10, 0, 10]);
  assertEquals(server.packets.length, 20);
  assertEquals(new Set(server.packets.map((packet) => packet.packet_id)).size, 10);
});

Deno.test("generator measures latency from the intended time when the server stalls", async () => {
  const stallMs = 600;
  const earliestMs = stallMs - 5;
  await using server = serve(async (_packet, index) => {
    if (index === 0) await new Promise((resolve) => setTimeout(resolve, stallMs));
    return accept();
  });
  const args = ["--url", server.url, "--rate=50", "--packets=30", "--concurrency=1", "--json"];
  const { latency_ms, late }: RunReport = JSON.parse((await runGenerator(...args)).stdout);
  // Packet n is due at 20 n ms and cannot be answered before 600 ms (less a timer's rounding),
  // however slow this machine is.
  assertGreaterOrEqual(latency_ms.max, earliestMs);
  assertGreaterOrEqual(latency_ms.p50, earliestMs - 15 * 20);
  assertGreaterOrEqual(latency_ms.mean, earliestMs - 14.5 * 20);
  assertGreaterOrEqual(late, 28);
});

Deno.test({
  name: "generator prints its report and exits 0 on SIGINT",
  ignore: Deno.build.os === "windows",
  async fn() {
    const started = Promise.withResolvers<void>();
    await using server = serve((_packet, index) => {
      if (index === 5) started.resolve();
      return accept();
    });
    const child = spawnGenerator("--url", server.url, "--rate=200", "--duration=0", "--json");
    await started.promise;
    child.kill("SIGINT");
    const { code, stdout } = await finish(child);
    const report: RunReport = JSON.parse(stdout);
    assertEquals([code, report.interrupted], [0, true]);
    assertEquals([report.sent, report.accepted], [server.packets.length, server.packets.length]);
  },
});

Deno.test("generator exits 1 and names the URL when nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://localhost:${(listener.addr as Deno.NetAddr).port}`;
  listener.close();
  const { code, stdout, stderr } = await runGenerator("--url", url);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, `Cannot connect to ${url}: `);
  assertStringIncludes(stderr, "start the distributor there");
  assertEquals(stderr.trimEnd().split("\n").length, 1);
});

Deno.test("generator exits 2 with one line on a usage error", async () => {
  const { code, stdout, stderr } = await runGenerator("-rate", "0");
  assertEquals([code, stdout], [2, ""]);
  assertEquals(stderr.trimEnd().split("\n").length, 1);
  assertStringIncludes(stderr, 'Invalid value "0" for flag --rate');
});

Deno.test("generator prints help and version", async () => {
  const help = await runGenerator("-h");
  assertEquals([help.code, help.stderr], [0, ""]);
  assert(["-url", "-agent", "-rate", "-batch", "-duration"].every((f) => help.stdout.includes(f)));
  assertEquals(await runGenerator("--version"), {
    code: 0,
    stdout: `generator ${denoConfig.version}\n`,
    stderr: "",
  });
});
