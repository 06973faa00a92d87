import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseSettings } from "../generator/options.ts";
import { describeRun, formatReport, Tally } from "../generator/report.ts";

const FACTS = { settings: parseSettings(["--batch=1..50"]), seed: 5, runId: "run1" };

Deno.test("describeRun() has stable snake_case keys", () => {
  assertEquals(describeRun(makeTally(), FACTS), {
    url: "http://localhost:8080",
    agent: "agent-1",
    run_id: "run1",
    seed: 5,
    batch: "1..50",
    target_rate: 10,
    achieved_rate: 100,
    elapsed_seconds: 12.4,
    interrupted: false,
    sent: 1234,
    accepted: 1200,
    refused: 30,
    errors: 0,
    failed: 4,
    unsent: 0,
    retried: 0,
    late: 7,
    messages_sent: 9876,
    messages_accepted: 9600,
    latency_ms: { p50: 1.5, p95: 1.5, p99: 1.5, max: 1.5, mean: 1.5 },
    by_status: { "202": 1200, "503": 30 },
    by_fault: { timeout: 4 },
  });
});

Deno.test("formatReport() aligns its numbers and leaves out what did not happen", () => {
  const lines = formatReport(describeRun(makeTally(), FACTS)).split("\n");
  assertEquals(lines.slice(2, 7), [
    "  sent      1,234  9,876 messages",
    "  accepted  1,200  9,600 messages",
    "  refused      30  answered 503 or 429",
    "  failed        4  timeout × 4",
    "  late          7  sent more than 10 ms after their time",
  ]);
  assertStringIncludes(lines.join("\n"), "  answers   202 × 1,200  503 × 30");
});

function makeTally(): Tally {
  const tally = new Tally();
  Object.assign(tally, { sent: 1234, messagesSent: 9876, accepted: 1200, messagesAccepted: 9600 });
  Object.assign(tally, { refused: 30, failed: 4, late: 7, elapsedMs: 12_400, sendingMs: 12_340 });
  tally.byStatus.set(503, 30).set(202, 1200);
  tally.byFault.set("timeout", 4);
  tally.latency.record(1.5);
  return tally;
}
