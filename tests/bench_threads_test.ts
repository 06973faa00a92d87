import { assertEquals, assertGreater } from "@std/assert";
import { readThreadCpuSeconds } from "../bench/process_usage.ts";
import type { RunResult } from "../bench/run.ts";
import { summarizeThreads, type ThreadsResult } from "../bench/threads.ts";

function result(threads: number, rate: number): ThreadsResult {
  const run: RunResult = {
    contender: "batched",
    messages: 10,
    packetBytes: 2900,
    connections: 64,
    wrk: {
      requests: 1,
      refused: 0,
      seconds: 1,
      socketErrors: { connect: 0, read: 0, write: 0, timeout: 0 },
      latencyMs: { p50: 1, p99: 1, max: 1 },
    },
    delivered: rate,
    posts: rate,
    rate,
    drainSeconds: 0,
    cpuMicros: 20,
    sinkLoad: 0.1,
    faults: [],
  };
  return { threads, run, cpuMicros: { main: 10 * threads, ingest: threads - 1, runtime: 1 } };
}

Deno.test("bench summarizeThreads() compares runs of the same round", () => {
  const rows = summarizeThreads([result(1, 100), result(2, 150), result(2, 400), result(1, 200)]);
  assertEquals(rows.map(({ one, two, ratio }) => [one.median, two.median, ratio]), [
    [150, 275, { median: 1.75, min: 1.5, max: 2 }],
  ]);
  assertEquals(rows[0]!.cpuOfOne.main, 10);
  assertEquals(rows[0]!.cpuOfTwo, { main: 20, ingest: 1, runtime: 1 });
});

Deno.test({
  name: "bench readThreadCpuSeconds() finds the threads of a process",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const { main, ingest, runtime } = readThreadCpuSeconds(Deno.pid);
    assertGreater(main + ingest + runtime, 0);
  },
});
