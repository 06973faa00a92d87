/** The line above everything else on the page: what it says of a snapshot. */

import { assertEquals } from "@std/assert";
import { Failures } from "../src/dashboard/client/failures.js";
import { isNear, judge } from "../src/dashboard/client/verdict.js";

interface Analyzer {
  readonly id: string;
  readonly eligible: boolean;
  readonly status: { kind: string; reason: string };
  readonly share: { target: number; actual: number };
  readonly failures: { connect: number; http_5xx: number };
}

function makeAnalyzer(id: string, target: number, change: Partial<Analyzer> = {}): Analyzer {
  return {
    id,
    eligible: true,
    status: { kind: "healthy", reason: "registered" },
    share: { target, actual: target },
    failures: { connect: 0, http_5xx: 0 },
    ...change,
  };
}

const FOUR = [4, 3, 2, 1].map((weight, i) => makeAnalyzer(`a${i + 1}`, weight / 10));

function makeSnapshot(change: Record<string, unknown> = {}) {
  const { analyzers = FOUR, queued = {}, inFlight = 0, ...rest } = change as typeof change & {
    inFlight?: number;
    queued?: object;
  };
  const none = { packets: 0, messages: 0 };
  return {
    boot: "b",
    unready: null,
    warnings: [],
    point: { n: 1, accepted: 1000, delivered: 1000, packets: 100, refused: 0 },
    state: {
      analyzers,
      accepted: none,
      delivered: { packets: -inFlight, messages: 0 },
      dead_lettered: none,
      queued: { ...none, capacity: 10_000, oldest_age_seconds: 0.2, ...queued },
      in_flight: { packets: inFlight, messages: 0 },
    },
    ...rest,
  };
}

function say(
  change: Record<string, unknown> = {},
  { shares, flows = true, failures = new Failures() }: {
    shares?: Map<string, number>;
    flows?: boolean;
    failures?: Failures;
  } = {},
): string[] {
  const seen = { shares, flows, failures };
  const told: { tone: string; text: string }[] = judge(makeSnapshot(change), seen);
  return told.map(({ tone, text }) => `${tone}: ${text}`);
}

Deno.test("judge() says that all is well only when it is", () => {
  assertEquals(say(), ["good: all 4 analyzers get their shares, and nothing waits"]);
  assertEquals(say({ analyzers: [makeAnalyzer("a", 1)] }), [
    "good: the analyzer gets its share, and nothing waits",
  ]);
  const shares = new Map([["a1", 0.3], ["a2", 0.3], ["a3", 0.2], ["a4", 0.2]]);
  assertEquals(say({}, { shares }), ["note: shares are on their way to their targets"]);
  const idle = { n: 1, accepted: 0, delivered: 0, packets: 0, refused: 0 };
  assertEquals(say({ point: idle }), ["good: no packets come in; all 4 analyzers are ready"]);
});

Deno.test("judge() says what waits, and that nothing goes out", () => {
  const old = { packets: 0, oldest_age_seconds: 2 };
  const all = "note: all 4 analyzers get their shares";
  assertEquals(say({ queued: old }), ["note: packets wait: 0, the oldest for 2 s", all]);
  const accepted = { packets: 4900, messages: 0 };
  const many = { ...makeSnapshot({ queued: { packets: 4900 } }).state, accepted };
  assertEquals(say({ state: many }), ["note: packets wait: 4,900, the oldest for 0 s", all]);
  const stuck = "warn: nothing is delivered; packets in flight: 24";
  assertEquals(say({ inFlight: 24 }, { flows: false }), [stuck]);
  const idle = { n: 1, accepted: 0, delivered: 0, packets: 0, refused: 0 };
  assertEquals(say({ point: idle, inFlight: 24 }, { flows: false }), [stuck]);
  assertEquals(say({ inFlight: 24 }), say());
});

Deno.test("judge() says when the books do not balance", () => {
  const state = { ...makeSnapshot().state, accepted: { packets: 7, messages: 7 } };
  assertEquals(say({ state }), ["bad: the books do not balance: this is a fault of the program"]);
});

Deno.test("judge() puts what needs somebody before what does not", () => {
  const warnings = [
    { severity: "critical", text: "no analyzer is eligible; packets that wait: 7" },
    { severity: "warning", text: "out: a1, died" },
  ];
  assertEquals(say({ warnings, unready: "the queue is full" }), [
    "bad: packets are refused: the queue is full",
    "bad: no analyzer is eligible; packets that wait: 7",
    "warn: out: a1, died",
  ]);
  const point = { n: 1, accepted: 10, delivered: 10, packets: 10, refused: 1234 };
  assertEquals(say({ point }), ["warn: 1,234 packets/s refused"]);
});

Deno.test("judge() names whom an operator has paused, and who is coming back", () => {
  const paused = makeAnalyzer("a1", 0, {
    eligible: false,
    status: { kind: "paused", reason: "by an operator" },
  });
  const slow = makeAnalyzer("a2", 0.5, {
    status: { kind: "slow_start", reason: "with 40 % of its weight" },
  });
  assertEquals(say({ analyzers: [paused, slow, makeAnalyzer("a3", 0.5)] }), [
    "note: paused: a1, by an operator",
    "note: coming back: a2, with 40 % of its weight",
    "note: the other 2 get their shares",
  ]);
});

Deno.test("judge() names analyzers whose requests fail though they are not out", () => {
  const failures = new Failures();
  const failing = (n: number, count: number, boot = "b") => {
    const analyzers = FOUR.map((one) => ({ ...one, failures: { connect: 0, http_5xx: count } }));
    failures.note({ boot, point: { n }, state: { analyzers } });
  };
  failing(1, 5);
  assertEquals(say({}, { failures }), say(), "what was before nobody saw");
  failing(2, 6);
  assertEquals(say({}, { failures }), [
    "warn: requests to a1 fail",
    "warn: requests to a2 fail",
    "warn: requests to a3 fail",
    "warn: requests to 1 more fail",
  ]);
  for (let n = 3; n < 12; n++) failing(n, 6);
  assertEquals(failures.recent("a1"), 1);
  failing(12, 6);
  assertEquals(failures.recent("a1"), 0, "ten seconds later");
  failing(13, 2);
  assertEquals(failures.recent("a1"), 0, "one that was removed has come back");
  failing(1, 9, "another start");
  assertEquals(failures.recent("a1"), 0);
});

Deno.test("isNear() is wider where few packets come, and asks nothing of what is not known", () => {
  const analyzer = makeAnalyzer("a", 0.4);
  const near = (part: number, packets: number) =>
    isNear(analyzer, { point: { packets }, shares: new Map([["a", part]]) });
  assertEquals([near(0.44, 1000), near(0.46, 1000), near(0.46, 10), near(0.47, 10)], [
    true,
    false,
    true,
    false,
  ]);
  const small = makeAnalyzer("a", 0.033);
  const many = { packets: 1000 };
  assertEquals(
    [0, 0.03, 0.04].map((part) => isNear(small, { point: many, shares: new Map([["a", part]]) })),
    [false, true, true],
  );
  const out = makeAnalyzer("a", 0, { share: { target: 0, actual: 0.4 } });
  assertEquals(isNear(out, { point: { packets: 0 }, shares: undefined }), true);
});
