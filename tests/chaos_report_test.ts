import { assert, assertEquals } from "@std/assert";
import { MATRIX } from "./chaos/matrix.ts";
import { formatSummary, formatViolations, hasViolations, type Result } from "./chaos/report.ts";
import type { Finding } from "./chaos/trial.ts";
import { parseRecord, straceWords } from "./support/strace.ts";

const FINE: Finding = {
  acknowledged: 10,
  lost: 0,
  duplicates: 1,
  recoveryMs: 12.6,
  violations: [],
};
const BAD: Finding = { ...FINE, lost: 2, violations: [{ law: "I1", detail: "2 lost" }] };

Deno.test("report: the summary adds up trials, and says what was not run", () => {
  const results: Result[] = [
    { name: "kill", trials: [{ seed: 1, finding: FINE }, { seed: 2, finding: BAD }] },
    { name: "disk", notRun: "this is not root", trials: [] },
  ];
  const lines = formatSummary(results).split("\n");
  assertEquals(lines[1]!.trim().split(/\s+/), ["kill", "2", "20", "2", "2", "13", "1"]);
  assertEquals(lines[2], "not run: disk: this is not root");
  assertEquals(hasViolations(results), true);
  assertEquals(hasViolations(results.slice(1)), false);
});

Deno.test("report: a violation is told once, with how to repeat it", () => {
  const finding = { ...BAD, violations: [...BAD.violations, ...BAD.violations] };
  assertEquals(formatViolations("kill", { seed: 7, finding, mode: " --all" }), [
    "  I1: 2 lost",
    "  again: ./denow task chaos --all --only kill --seed 7 --runs 1",
  ]);
  assertEquals(formatViolations("kill", { seed: 7, finding: FINE, mode: "" }), []);
});

Deno.test("matrix: names are unique, and every fault is run by --all", () => {
  const names = MATRIX.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const name of names) assert(/^[a-z0-9-]+$/.test(name), name);
  for (const { name, runs } of MATRIX) assert(runs.all >= runs.some && runs.all > 0, name);
});

Deno.test("strace: the words make the N-th call fail", () => {
  const inject = { calls: "fsync", error: "EIO", at: 3 } as const;
  const words = straceWords("write", { record: "out", inject });
  assert(words.includes("trace=write,fsync"));
  assert(words.includes("inject=fsync:error=EIO:when=3"));
  assertEquals(straceWords("write", { record: "out" }).filter((word) => /^inject/.test(word)), []);
});

Deno.test("strace: a record is read in the order in which calls end", () => {
  const record = [
    '10 write(5<socket:[1]>, "HTTP/1.1 202 Accepted"..., 300 <unfinished ...>',
    "11 fdatasync(7</data/spool.db-wal>) = 0",
    "10 <... write resumed>) = 300",
    "11 fsync(7</data/spool.db>) = -1 EIO (Input/output error) (INJECTED)",
    "11 +++ exited with 1 +++",
  ].join("\n");
  assertEquals(
    parseRecord(record).map(({ name, result, isInjected }) => [name, result, isInjected]),
    [["fdatasync", 0, false], ["write", 300, false], ["fsync", -1, true]],
  );
  assert(parseRecord(record)[1]!.text.includes("HTTP/1.1 202"));
});
