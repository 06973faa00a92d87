/** The pure parts of the mock analyzer: knobs, draws, the tally, reading of packets. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  drawFault,
  drawHang,
  FAULT_OPTIONS,
  flapPhase,
  isFaulty,
  KnobError,
  type Knobs,
  NO_FAULTS,
  readKnobs,
  writeKnobs,
} from "../analyzers/faults.ts";
import { BadBody, decodeBody, parseBatch, parsePacket } from "../analyzers/packets.ts";
import { Tally } from "../analyzers/tally.ts";
import { parseFlags } from "../src/flags.ts";
import { type Random, seededRandom } from "../src/random.ts";

const never: Random = () => {
  throw new Error("Cannot draw: no knob needs chance");
};

function countWhere(draws: number, isHit: () => boolean): number {
  let hits = 0;
  for (let i = 0; i < draws; i++) if (isHit()) hits++;
  return hits;
}

/** Five standard deviations of a binomial count. */
function tolerance(draws: number, rate: number): number {
  return 5 * Math.sqrt(draws * rate * (1 - rate));
}

Deno.test("drawFault() leaves chance alone while all knobs are off", () => {
  assertEquals(drawFault(NO_FAULTS, never), { kind: "none", delayMs: 0 });
  assertEquals(drawHang(NO_FAULTS, never), false);
  assert(!isFaulty(NO_FAULTS));
  assert(isFaulty({ ...NO_FAULTS, unhealthy: true }));
});

Deno.test("drawFault() fails and hangs at the rates that are set", () => {
  const draws = 20_000;
  const random = seededRandom(1);
  const failing: Knobs = { ...NO_FAULTS, errorRate: 0.2 };
  const errors = countWhere(draws, () => drawFault(failing, random).kind === "error");
  assert(Math.abs(errors - draws * 0.2) < tolerance(draws, 0.2), `${errors} errors`);
  const hanging: Knobs = { ...NO_FAULTS, hangRate: 0.05, errorRate: 1 };
  const hangs = countWhere(draws, () => drawFault(hanging, random).kind === "hang");
  assert(Math.abs(hangs - draws * 0.05) < tolerance(draws, 0.05), `${hangs} hangs`);
});

Deno.test("drawFault() adds jitter to latency, uniformly", () => {
  const random = seededRandom(2);
  const knobs: Knobs = { ...NO_FAULTS, latency: 100, jitter: 50 };
  const delaysMs = Array.from({ length: 10_000 }, () => drawFault(knobs, random).delayMs);
  assert(Math.min(...delaysMs) >= 100 && Math.max(...delaysMs) < 150);
  const meanMs = delaysMs.reduce((a, b) => a + b) / delaysMs.length;
  assert(Math.abs(meanMs - 125) < 5 * 50 / Math.sqrt(12 * delaysMs.length), `mean ${meanMs}`);
});

Deno.test("drawFault() repeats itself under the same seed", () => {
  const knobs: Knobs = { ...NO_FAULTS, errorRate: 0.3, hangRate: 0.1, jitter: 10 };
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 100 }, () => drawFault(knobs, random));
  };
  assertEquals(draw(7), draw(7));
  assert(JSON.stringify(draw(7)) !== JSON.stringify(draw(8)));
});

Deno.test("flapPhase() alternates, beginning up", () => {
  assertEquals(flapPhase(100, 0), { up: true, remainingMs: 100 });
  assertEquals(flapPhase(100, 99), { up: true, remainingMs: 1 });
  assertEquals(flapPhase(100, 100), { up: false, remainingMs: 100 });
  assertEquals(flapPhase(100, 250), { up: true, remainingMs: 50 });
});

Deno.test("readKnobs() reads what writeKnobs() wrote, and what the flags take", () => {
  const json = {
    "latency": "1.5s",
    "jitter": "20ms",
    "error-rate": 0.25,
    "error-code": 503,
    "hang-rate": 1,
    "refuse": true,
    "slow-body": "2m",
    "flap": "0",
    "unhealthy": true,
    "reject-message": "poison",
    "retry-after": 7,
  };
  const knobs = readKnobs(json) as Knobs;
  assertEquals(writeKnobs(knobs), json);
  const args = Object.entries(json).map(([name, value]) => `--${name}=${value}`);
  assertEquals(parseFlags(args, FAULT_OPTIONS).values, knobs);
  assertEquals(readKnobs({ latency: 0 }), { latency: 0 });
});

const badKnobs: [name: string, json: unknown, knob: string, allowed: string][] = [
  ["an unknown knob", { latncy: "1s" }, "latncy", "latency"],
  ["a camelCase name", { errorRate: 1 }, "errorRate", "error-rate"],
  ["a duration without unit", { latency: "50" }, "latency", "500ms"],
  ["a duration as a number", { latency: 50 }, "latency", "500ms"],
  ["a duration beyond the timers", { flap: "25h" }, "flap", "24h"],
  ["a rate above 1", { "error-rate": 1.5 }, "error-rate", "at most 1"],
  ["a rate as text", { "error-rate": "1" }, "error-rate", "a number"],
  ["a success as an error code", { "error-code": 200 }, "error-code", "at least 400"],
  ["a fraction of a second", { "retry-after": 1.5 }, "retry-after", "a whole number"],
  ["a boolean as text", { refuse: "true" }, "refuse", "true or false"],
  ["null", { unhealthy: null }, "unhealthy", "true or false"],
  ["an array", [], "", "an object"],
];
for (const [name, json, knob, allowed] of badKnobs) {
  Deno.test(`readKnobs() refuses ${name}`, () => {
    const error = assertThrows(() => readKnobs(json), KnobError);
    assertEquals(error.knob, knob);
    assert(error.allowed.includes(allowed), error.allowed);
  });
}

const messages = [{ level: "INFO" }, { level: "constructor" }];

Deno.test("parsePacket() takes any packet with messages and refuses the others", () => {
  assertEquals(parsePacket('{"log_messages":[{}],"x":1}').log_messages.length, 1);
  for (const text of ["", "{", "null", "1", "[]", "{}"]) {
    assertThrows(() => parsePacket(text), BadBody, "Cannot read the body: ");
  }
  for (const bad of ["null", "[]", "{}", "[1]", "[null]", "[[]]"]) {
    assertThrows(() => parsePacket(`{"log_messages":${bad}}`), BadBody, "log_messages");
  }
});

Deno.test("parseBatch() names the line that is bad", () => {
  const line = '{"log_messages":[{}]}';
  assertEquals(parseBatch(`${line}\n${line}\r\n`).length, 2);
  assertThrows(() => parseBatch(`${line}\n\n${line}`), BadBody, "line 2 of the batch");
  assertThrows(() => parseBatch("\n"), BadBody, "line 1 of the batch");
  assertThrows(() => parseBatch(""), BadBody, "empty");
  assertThrows(() => decodeBody(new Uint8Array([0xff])), BadBody, "UTF-8");
});

Deno.test("tally.countPacket() tells distinct, repeated and nameless packets apart", () => {
  const tally = new Tally(10);
  for (const packet_id of ["a", "b", "a", "a", "__proto__", ""]) {
    tally.countPacket(JSON.parse(JSON.stringify({ packet_id, log_messages: messages })));
  }
  const stats = tally.read({ id: "x", uptimeMs: 1234.5678 });
  assertEquals([stats.packets, stats.distinct_packets, stats.repeated_packets], [6, 3, 2]);
  assertEquals(stats.messages, 12);
  assertEquals([stats.by_level["INFO"], stats.by_level["OTHER"]], [6, 6]);
  assertEquals(tally.ids(), new Map([["a", 3], ["b", 1], ["__proto__", 1], ["", 1]]));
  assertEquals(stats.uptime_seconds, 1.235);
  tally.reset();
  assertEquals(tally.ids().size, 0);
  assertEquals(tally.read({ id: "x", uptimeMs: 0 }).by_level["INFO"], 0);
});

Deno.test("tally.ids() keeps at least the newest half and at most all it may remember", () => {
  const tally = new Tally(100);
  for (let i = 0; i < 1000; i++) {
    tally.countPacket(parsePacket(`{"packet_id":"p${i}","log_messages":[{}]}`));
    const ids = tally.ids();
    assert(ids.size <= 100, `${ids.size} ids`);
    for (let j = Math.max(0, i - 49); j <= i; j++) assert(ids.has(`p${j}`), `p${j} at ${i}`);
  }
  assertEquals(tally.read({ id: "x", uptimeMs: 0 }).distinct_packets, 1000);
});
