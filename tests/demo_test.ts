/** The demo: its pure parts, one whole run, and that an interrupted one leaves nothing behind. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describeEvent } from "../demo/events.ts";
import { choosePort } from "../demo/ports.ts";
import { isBalanced, type Reading } from "../demo/readings.ts";
import { formatVerdict, Screen, wrap } from "../demo/screen.ts";
import { clip, describeScene, drawBar, drawScene, type Scene } from "../demo/table.ts";
import {
  judgeAccounts,
  judgeBooks,
  judgeBurst,
  judgeShares,
  measureShares,
  sharesOf,
} from "../demo/verdicts.ts";
import type { RunReport } from "../generator/report.ts";
import type { AnalyzerView } from "../src/analyzer_view.ts";
import type { HealthState } from "../src/health.ts";
import type { MetricsView } from "../src/metrics.ts";

const ROOT = new URL("..", import.meta.url);
const PROFILE = (Deno.env.get("DENO_PROFILE") ?? "").split(/\s+/).filter(Boolean);
const WEIGHTS = [0.4, 0.3, 0.2, 0.1];
const IDS = ["analyzer1", "analyzer2", "analyzer3", "analyzer4"];

function viewAnalyzer(index: number, messages: number, state: HealthState): AnalyzerView {
  return {
    id: IDS[index]!,
    url: "",
    weight: WEIGHTS[index]!,
    paused: false,
    state,
    reason: "",
    state_seconds: 0,
    eligible: state !== "ejected",
    status: { kind: state, reason: "", seconds: 0 },
    successes: 0,
    success_seconds: 0,
    share: { target: WEIGHTS[index]!, actual: 0, window_seconds: 60 },
    delivered: { packets: messages / 10, messages },
    failures: { connect: 0, timeout: 0, broken: 0, http_5xx: 0, http_4xx: 0 },
    in_flight: 3,
    weight_factor: 1,
    ejections: 0,
    probes: { passed: 1, failed: 0 },
    latency_ms: { p50: 4.25, p95: 0, p99: 0 },
  };
}

/** What the distributor says when its analyzers have received so many messages. */
function viewMetrics(counts: number[], { states = [] as HealthState[], refused = 0 } = {}) {
  const messages = counts.reduce((sum, count) => sum + count, 0);
  const delivered = { packets: messages / 10, messages };
  const queued = { packets: 2, messages: 20, bytes: 0 };
  const view: MetricsView = {
    received: { packets: 0, messages: 0, bytes: 0 },
    accepted: { packets: messages / 10 + 3, messages: messages + 30, bytes: 0 },
    rejected: { packets: refused, by_code: {} },
    delivered,
    dead_lettered: { packets: 0, messages: 0 },
    queued: {
      ...queued,
      in_memory: queued,
      capacity: 1,
      held_bytes: 0,
      capacity_bytes: 1,
      oldest_age_seconds: 0,
    },
    in_flight: { packets: 1, messages: 10 },
    retries: 0,
    dead_letters: 0,
    dead_letter_bytes: 0,
    dead_letter_max_bytes: 0,
    // As registered: in any order.
    analyzers: counts.map((count, i) => viewAnalyzer(i, count, states[i] ?? "healthy")).reverse(),
    uptime_seconds: 0,
    version: "",
    durability: "memory",
  };
  return view;
}

function viewScene(recent: MetricsView[]): Scene {
  return {
    chapter: { title: "1/5 Shares settle", look: "Watch actual meet target." },
    doing: "measuring for 8 s",
    elapsedSeconds: 12.3,
    recent: recent.map((metrics, i): Reading => ({ atMs: i * 2000, metrics })),
  };
}

const SCENE = viewScene([
  viewMetrics([0, 0, 0, 0]),
  viewMetrics([401_230, 300_000, 199_000, 99_770]),
]);

function reportRun(report: Partial<RunReport>): RunReport {
  return {
    target_rate: 5000,
    achieved_rate: 4998.7,
    sent: 100,
    accepted: 100,
    by_status: { "202": 100 },
    by_fault: {},
    ...report,
  } as RunReport;
}

Deno.test("measureShares() counts what was delivered in between", () => {
  const from = viewMetrics([100, 100, 100, 100]);
  const to = viewMetrics([500, 400, 300, 200]);
  assertEquals(measureShares(IDS, { from, to }), { shares: [0.4, 0.3, 0.2, 0.1], messages: 1000 });
  assertEquals(measureShares(IDS, { from, to: from }), { shares: [0, 0, 0, 0], messages: 0 });
});

Deno.test("sharesOf() moves the share of who is out to the others in proportion", () => {
  const shares = sharesOf([0.4, 0, 0.2, 0.1]).map((share) => Number(share.toFixed(3)));
  assertEquals(shares, [0.571, 0, 0.286, 0.143]);
  assertEquals(sharesOf([0, 0]), [0, 0]);
});

Deno.test("judgeShares() holds within one point and says how many messages it was", () => {
  const measured = { shares: [0.409, 0.299, 0.192, 0.1], messages: 12_345 };
  assertEquals(judgeShares("shares match the weights", measured, WEIGHTS), {
    holds: true,
    text: "shares match the weights within 1 point: 0.409 0.299 0.192 0.100 " +
      "(asked 0.4 0.3 0.2 0.1), over 12,345 messages",
  });
  const off = { shares: [0.411, 0.3, 0.189, 0.1], messages: 12_345 };
  assertEquals(judgeShares("", off, WEIGHTS).holds, false);
  assertEquals(judgeShares("", { shares: [0, 0], messages: 0 }, [0, 0]).holds, false);
});

Deno.test("judgeBurst() holds when all were accepted and refusals were 503 only", () => {
  const refused = judgeBurst(reportRun({ by_status: { "202": 100, "503": 12 } }));
  assertEquals(refused.holds, true);
  assertStringIncludes(refused.text, "12 refusals, all 503");
  assertStringIncludes(judgeBurst(reportRun({})).text, "of 4,999 packets/s (asked 5,000)");
  const rows: [string, Partial<RunReport>][] = [
    ["1 answers 500", { accepted: 99, by_status: { "202": 99, "500": 1 } }],
    ["1 timeout", { accepted: 99, by_status: { "202": 99 }, by_fault: { timeout: 1 } }],
    ["0 of 0 accepted", { sent: 0, accepted: 0, by_status: {} }],
  ];
  for (const [text, report] of rows) {
    const verdict = judgeBurst(reportRun(report));
    assertEquals(verdict.holds, false, text);
    assertStringIncludes(verdict.text, text);
  }
});

Deno.test("judgeAccounts() holds when each 202 is somewhere, however often it came", () => {
  const accounts = { accepted: 10, received: 11, distinct: 8, deadLetters: 1, queued: 1 };
  assertEquals(judgeAccounts(accounts).holds, true);
  assertStringIncludes(judgeAccounts(accounts).text, "3 came twice");
  assertEquals(judgeAccounts({ ...accounts, distinct: 7 }).holds, false);
  assertEquals(judgeAccounts({ ...accounts, distinct: 9 }).holds, false);
});

Deno.test("judgeBooks() fails when one reading did not add up", () => {
  assertEquals(judgeBooks({ count: 9, unbalanced: 0 }).holds, true);
  assertEquals(judgeBooks({ count: 9, unbalanced: 1 }).holds, false);
  assertEquals(judgeBooks({ count: 0, unbalanced: 0 }).holds, false);
});

Deno.test("isBalanced() adds up packets and messages", () => {
  const metrics = viewMetrics([40, 30, 20, 10]);
  assertEquals(isBalanced(metrics), true);
  assertEquals(isBalanced({ ...metrics, delivered: { packets: 10, messages: 99 } }), false);
  assertEquals(isBalanced({ ...metrics, delivered: { packets: 9, messages: 100 } }), false);
});

Deno.test("drawScene() fits terminals of any width", () => {
  for (const columns of [20, 60, 80, 120, 300]) {
    const lines = drawScene(SCENE, { columns, color: false });
    for (const line of lines) assert([...line].length < columns, line);
    const coloured = drawScene(SCENE, { columns, color: true });
    // deno-lint-ignore no-control-regex
    assertEquals(coloured.map((line) => line.replaceAll(/\x1b\[\d+m/g, "")), lines);
  }
});

Deno.test("drawScene() lines up its columns at 80", () => {
  const lines = drawScene(SCENE, { columns: 80, color: false });
  assertMatch(lines[0]!, /^1\/5 Shares settle {50,}12 s$/);
  assertEquals(lines.slice(1), [
    "Watch actual meet target.",
    "",
    "analyzer  state     weight target actual share      messages in flight     p50",
    "analyzer1 healthy      0.4  0.400  0.401 ██████│     401,230         3  4.3 ms",
    "analyzer2 healthy      0.3  0.300  0.300 ████│       300,000         3  4.3 ms",
    "analyzer3 healthy      0.2  0.200  0.199 ███│        199,000         3  4.3 ms",
    "analyzer4 healthy      0.1  0.100  0.100 █│           99,770         3  4.3 ms",
    "",
    "accepted 100,003 = delivered 100,000 + dead 0 + queued 2 + in flight 1",
    "50,000 packets/s in | measuring for 8 s",
  ]);
});

Deno.test("drawScene() tells slow start from health, and how many were refused", () => {
  const states: HealthState[] = ["healthy", "healthy", "ejected", "probation"];
  const metrics = viewMetrics([0, 0, 0, 0], { states, refused: 1234 });
  const lines = drawScene(viewScene([metrics]), { columns: 80, color: false });
  const shown = lines.slice(4, 8).map((line) => line.slice(10, 20).trimEnd());
  // Of what the weights 0.4 0.3 0.1 would give them, 0.4 and 0.3 are less.
  assertEquals(shown, ["slow start", "slow start", "ejected", "probation"]);
  assertStringIncludes(lines.at(-1)!, "1,234 refused, to come again");
});

Deno.test("describeScene() is one line", () => {
  assertEquals(
    describeScene(SCENE),
    "  12.3 s  shares 0.401 0.300 0.199 0.100 | 50,000 packets/s in | queued 3 | measuring for 8 s",
  );
});

Deno.test("drawBar() is as long as the share, with a mark at the target", () => {
  assertEquals(drawBar({ actual: 0.3, target: 0 }, 12), "██████      ");
  assertEquals(drawBar({ actual: 0.325, target: 0 }, 12), "██████▌     ");
  assertEquals(drawBar({ actual: 0.3, target: 0.4 }, 12), "██████  │   ");
  assertEquals(drawBar({ actual: 1, target: 1 }, 4), "███│");
});

Deno.test("clip() cuts what is seen and keeps colours", () => {
  assertEquals(clip("\x1b[31mred\x1b[0m end", 4), "\x1b[31mred\x1b[0m ");
  assertEquals(clip("▌│█", 2), "▌│");
});

Deno.test("wrap() breaks between words only", () => {
  assertEquals(wrap("one two three", 7), ["one two", "three"]);
  assertEquals(wrap("incomprehensible", 4), ["incomprehensible"]);
  const verdict = { holds: false, text: "one two three" };
  assertEquals(formatVerdict(verdict, { columns: 13, color: false }), "FAIL one two\n     three");
});

Deno.test("describeEvent() tells health, warnings and errors, and nothing else", () => {
  const rows: [Record<string, unknown> | string, string | undefined][] = [
    [
      { event: "analyzer ejected", id: "a2", reason: "3 connect failures in a row" },
      "a2 is ejected: 3 connect failures in a row",
    ],
    [{ level: "info", event: "analyzer registered", id: "a2" }, undefined],
    [
      { level: "warn", event: "packet dead-lettered", detail: "HTTP 400" },
      "packet dead-lettered: HTTP 400",
    ],
    ["not JSON", undefined],
  ];
  for (const [line, text] of rows) {
    assertEquals(describeEvent(typeof line === "string" ? line : JSON.stringify(line)), text);
  }
});

Deno.test("choosePort() avoids what is taken", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port: taken } = listener.addr;
  const chosen = choosePort(taken, new Set());
  assert(chosen !== taken && chosen > 1024);
  assert(choosePort(chosen, new Set([chosen])) !== chosen);
});

/** A screen that writes to memory. */
function createScreen(live: boolean) {
  const written: string[] = [];
  const screen = new Screen({
    live,
    color: false,
    size: () => ({ columns: 80, rows: 24 }),
    write: (text) => written.push(text),
  });
  return { screen, written };
}

Deno.test("screen.draw() on a terminal draws over what it has drawn", () => {
  const { screen, written } = createScreen(true);
  for (let i = 0; i < 2; i++) screen.draw(SCENE);
  screen.say("news");
  screen.close();
  const [first, second, news, end] = written as [string, string, string, string];
  const height = first.split("\n").length - 1;
  assert(!first.includes(`\x1b[${height}A`));
  assertStringIncludes(second, `\r\x1b[${height}A`);
  assertEquals(news.split("\n").length - 1, height + 1);
  assertStringIncludes(news, `\r\x1b[${height}A\x1b[?2026hnews\x1b[K\n`);
  assert(end.startsWith(`\r\x1b[${height}A`) && end.endsWith("\x1b[?25h"));
});

Deno.test("screen elsewhere writes plain lines, a status every two seconds at most", () => {
  const { screen, written } = createScreen(false);
  screen.begin("1/5 Shares settle", "Watch.");
  for (const elapsedSeconds of [1, 2, 2.5, 3, 4]) screen.draw({ ...SCENE, elapsedSeconds });
  screen.close();
  assertEquals(written.length, 3);
  assert(!written.join("").includes("\x1b"));
});

function startDemo(): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...PROFILE, "--no-prompt", "-A", "demo/main.ts", "--free-ports"],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Asserts that nothing listens any more on the ports in the demo's picture. */
function assertAllStopped(output: string): void {
  const ports = Array.from(output.matchAll(/ :(\d+)/g), ([, port]) => Number(port));
  assertEquals(ports.length, 5, output);
  for (const port of ports) Deno.listen({ hostname: "127.0.0.1", port }).close();
}

Deno.test("demo shows that all its claims hold, and leaves nothing running", async () => {
  const { code, stdout } = await startDemo().output();
  const output = new TextDecoder().decode(stdout);
  assertEquals(code, 0, output);
  assertEquals(output.match(/^PASS .*/gm)?.length, 6, output);
  assertMatch(output, /analyzer2 is ejected: .*\n(.*\n)*.*analyzer2 is healthy/);
  assertAllStopped(output);
});

Deno.test("demo stops everything on SIGTERM", async () => {
  const demo = startDemo();
  let output = "";
  for await (const text of demo.stdout.pipeThrough(new TextDecoderStream())) {
    const wasRunning = output.includes("load: ");
    output += text;
    if (!wasRunning && output.includes("load: ")) demo.kill("SIGTERM");
  }
  assertEquals((await demo.status).code, 1, output);
  assertStringIncludes(output, "Stopping.");
  assertAllStopped(output);
});
