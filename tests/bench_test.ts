import { assert, assertEquals, assertThrows } from "@std/assert";
import { seededRandom } from "../src/random.ts";
import { sealPacket } from "../src/packet.ts";
import { scanFast } from "../src/fast_scanner.ts";
import { taskWords } from "../bench/contenders.ts";
import { firstVersion } from "../bench/machine.ts";
import { parseSettings, wants } from "../bench/options.ts";
import { deliveredLength, makePackets } from "../bench/packets.ts";
import { parseCpuTicks } from "../bench/process_usage.ts";
import { formatMarkdown, formatTable } from "../bench/report.ts";
import { orderOf, ratioOf, spreadOf } from "../bench/rounds.ts";
import { audit, type BooksDelta, type RunResult } from "../bench/run.ts";
import { shareError } from "../bench/shares.ts";
import { countBatches, parseRequests } from "../bench/sink.ts";
import { fillTemplate } from "../bench/template.ts";
import { summarize } from "../bench/throughput.ts";
import { parseReport, type WrkReport } from "../bench/wrk.ts";

Deno.test("bench spreadOf() takes the middle, or the mean of the two in the middle", () => {
  assertEquals(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assertEquals(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assertEquals(spreadOf([7]), { median: 7, min: 7, max: 7 });
  assertThrows(() => spreadOf([]), Error, "median of nothing");
});

Deno.test("bench ratioOf() compares round by round, so that drift cancels out", () => {
  assertEquals(ratioOf([20, 40, 90], [10, 20, 45]), { median: 2, min: 2, max: 2 });
  assertThrows(() => ratioOf([1], [1, 2]), Error, "different lengths");
});

Deno.test("bench orderOf() lets each contender be first, and follow each other", () => {
  const rounds = Array.from({ length: 6 }, (_, round) => orderOf(round, ["a", "b", "c"]).join(""));
  assertEquals(rounds, ["abc", "bca", "cab", "cba", "acb", "bac"]);
});

Deno.test("bench makePackets() makes packets of one length, each a packet of its own", () => {
  for (const messages of [1, 10, 100]) {
    const packets = makePackets(messages);
    assertEquals(new Set(packets.map(({ length }) => length)).size, 1);
    const ids = packets.map((packet) => {
      const shape = scanFast(packet);
      assertEquals(shape.messages, messages);
      return shape.packetId;
    });
    assertEquals(new Set(ids).size, packets.length);
  }
});

Deno.test("bench deliveredLength() is the length of what the distributor passes on", () => {
  const body = makePackets(10)[0]!;
  const packet = sealPacket(body, scanFast(body), {
    receivedAt: new Date(seededRandom(1)() * 1e12).toISOString(),
    acceptedAtMs: 0,
    newId: () => "unused",
  });
  assertEquals(deliveredLength(body.length), packet.bytes);
});

Deno.test("bench countBatches() counts packets by their length, alone and in batches", () => {
  const alone = `202 ${400 + 180} 400`;
  const three = `202 ${3 * 401 + 130} ${3 * 401}`;
  assertEquals(countBatches([three, alone, three], 400), { packets: 7, faults: [] });
});

Deno.test("bench countBatches() counts nothing that is not whole packets, taken with 202", () => {
  const strange = {
    "a length in between": `202 ${900 + 130} 900`,
    "a body cut off": `202 700 ${3 * 401}`,
    "another status": `500 ${401 + 130} 401`,
    "no length": "202 130 -",
  };
  for (const [name, line] of Object.entries(strange)) {
    const { packets, faults } = countBatches([line], 400);
    assertEquals([packets, faults.length], [0, 1], name);
  }
});

Deno.test("bench parseRequests() reads the third number of stub_status", () => {
  const text = "Active connections: 1 \nserver accepts handled requests\n 394 393 1915280 \n" +
    "Reading: 0 Writing: 1 Waiting: 0 \n";
  assertEquals(parseRequests(text), 1915280);
  assertThrows(() => parseRequests("404"), Error, "sink's status");
});

const REPORT: WrkReport = {
  requests: 1000,
  refused: 100,
  seconds: 2,
  socketErrors: { connect: 0, read: 0, write: 0, timeout: 0 },
  latencyMs: { p50: 1, p99: 2, max: 3 },
};
const BOOKS: BooksDelta = {
  accepted: 910,
  delivered: 910,
  deadLettered: 0,
  retries: 0,
  left: 0,
  rejected: 105,
  byCode: { QUEUE_FULL: 105 },
};
const RUN = {
  report: REPORT,
  arrivals: { posts: 30, packets: 910, faults: [] },
  connections: 64,
  books: BOOKS,
  kind: "batched",
} as const;

Deno.test("bench audit() finds no fault where all three counts agree", () => {
  assertEquals(audit(RUN), []);
});

Deno.test("bench audit() takes into account that each retry may have arrived before", () => {
  const arrivals = { posts: 30, packets: 912, faults: [] };
  assertEquals(audit({ ...RUN, arrivals, books: { ...BOOKS, retries: 2 } }), []);
});

Deno.test("bench audit() finds what does not agree", () => {
  const wrongBooks: Record<string, Partial<BooksDelta>> = {
    "910 accepted, 909 delivered": { delivered: 909 },
    "1 packets never left the queue": { left: 1 },
    "1 packets became dead letters": { deadLettered: 1 },
    "900 answers of 202, 899 accepted": { accepted: 899 },
    "900 answers of 202, 965 accepted": { accepted: 965 },
    "100 refusals, 99 in the metrics": { rejected: 99 },
    "refused with INVALID_JSON": { byCode: { INVALID_JSON: 1 } },
  };
  for (const [fault, books] of Object.entries(wrongBooks)) {
    const faults = audit({ ...RUN, books: { ...BOOKS, ...books } });
    assert(faults.includes(fault), `${fault}: ${faults}`);
  }
  const lost = audit({ ...RUN, arrivals: { posts: 30, packets: 909, faults: [] } });
  assertEquals(lost, ["910 delivered, 909 at the sink, 0 retries"]);
  const alone = audit({ ...RUN, arrivals: { posts: 910, packets: 910, faults: [] } });
  assertEquals(alone, ["no request held more than one packet"]);
});

Deno.test("bench audit() lets a proxy refuse nothing, and lose nothing", () => {
  const proxy = { ...RUN, books: undefined, kind: "single" } as const;
  const report = { ...REPORT, refused: 0 };
  const packets = (count: number) => ({ posts: count, packets: count, faults: [] });
  assertEquals(audit({ ...proxy, report, arrivals: packets(1064) }), []);
  assertEquals(audit({ ...proxy, report, arrivals: packets(999) }).length, 1);
  assertEquals(audit({ ...proxy, report, arrivals: packets(1065) }).length, 1);
  assertEquals(audit({ ...proxy, arrivals: packets(1000) })[0], "wrk saw 100 refusals");
  const socketErrors = { ...REPORT.socketErrors, read: 2 };
  assertEquals(
    audit({ ...proxy, report: { ...report, socketErrors }, arrivals: packets(1000) }),
    ["wrk saw 2 socket errors or timeouts"],
  );
});

Deno.test("bench summarize() gives ratios of the runs of one round", () => {
  const run = (contender: RunResult["contender"], rate: number): RunResult => ({
    contender,
    messages: 10,
    packetBytes: 2900,
    connections: 64,
    wrk: REPORT,
    delivered: rate * 2,
    posts: rate,
    rate,
    drainSeconds: 0,
    cpuMicros: 20,
    sinkLoad: 0.1,
    faults: [],
  });
  const rows = summarize([
    ...[run("batched", 100), run("haproxy", 80), run("nginx", 50)],
    ...[run("haproxy", 160), run("nginx", 100), run("batched", 300)],
  ]);
  const batched = rows.find(({ contender }) => contender === "batched")!;
  assertEquals(batched.rate.median, 200);
  assertEquals(batched.toHaproxy, { median: 1.5625, min: 1.25, max: 1.875 });
  assertEquals(batched.toNginx, { median: 2.5, min: 2, max: 3 });
  assertEquals(batched.refusedFraction, 0.1);
  assertEquals(batched.packetsPerPost, 2);
});

Deno.test("bench parseReport() finds the script's line among wrk's own", () => {
  const printed = `Running 2s test\nRESULT ${JSON.stringify(REPORT)}\nRequests/sec: 500\n`;
  assertEquals(parseReport(printed), REPORT);
  assertThrows(() => parseReport("unable to connect"), Error, "unable to connect");
});

Deno.test("bench shareError() is the largest distance from a target, in points", () => {
  assertEquals(shareError([40, 30, 20, 10], [4, 3, 2, 1]), 0);
  assertEquals(Math.round(shareError([410, 300, 200, 90], [4, 3, 2, 1]) * 1e9) / 1e9, 1);
});

Deno.test("bench taskWords() reads a task as its shell does", () => {
  assertEquals(
    taskWords("deno run $DENO_PROFILE --a '--allow-env=X_*' main.ts", " --lock=l --map=m "),
    [Deno.execPath(), "run", "--lock=l", "--map=m", "--a", "--allow-env=X_*", "main.ts"],
  );
});

Deno.test("bench parseCpuTicks() is not confused by a program's name", () => {
  const stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 215 35 0 0 20";
  assertEquals(parseCpuTicks(stat), 250);
});

Deno.test("bench fillTemplate() puts values in, and misses none silently", () => {
  assertEquals(fillTemplate("bind {{host}}:{{port}}", { host: "h", port: 1 }), "bind h:1");
  assertThrows(() => fillTemplate("{{port}}", {}), Error, 'Cannot fill "port"');
});

Deno.test("bench formatTable() and formatMarkdown() show the same cells", () => {
  const table = { title: "Draw", rows: [["analyzers", "ns"], ["4", "60"], ["1000", "140"]] };
  assertEquals(
    formatTable(table),
    "Draw\n\n  analyzers  ns\n  4          60\n  1000       140",
  );
  assertEquals(
    formatMarkdown(table),
    "**Draw**\n\n| analyzers | ns |\n| --- | --- |\n| 4 | 60 |\n| 1000 | 140 |",
  );
});

Deno.test("bench parseSettings() refuses flags that contradict each other", () => {
  assertThrows(() => parseSettings(["--quick", "--only", "draw"]), Error, "--quick");
  assertThrows(() => parseSettings(["--write-readme", "--only=draw"]), Error, "--write-readme");
  assertThrows(() => parseSettings(["draw"]), Error, '"draw"');
  assert(wants(parseSettings([]), "shares"));
  assert(wants(parseSettings(["--only", "draw"]), "draw"));
  assert(!wants(parseSettings(["--only", "draw"]), "shares"));
  assert(!wants(parseSettings(["--quick"]), "draw"));
});

Deno.test("bench firstVersion() finds a version in what a program prints", () => {
  assertEquals(firstVersion("nginx version: nginx/1.22.1\n"), "1.22.1");
  assertEquals(firstVersion("wrk debian/4.1.0-3+b2 [epoll]"), "4.1.0");
  assertEquals(firstVersion("usage"), "unknown");
});
