/** The parts of the page that need no page. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { assignColors, colorOf } from "../src/dashboard/client/colors.js";
import {
  age,
  byName,
  bytes,
  duration,
  durations,
  percent,
  short,
  shorten,
} from "../src/dashboard/client/format.js";
import { Series } from "../src/dashboard/client/series.js";
import { parseEvents } from "../src/dashboard/client/events.js";

const point = (t: number, by: Record<string, number> = {}, packets = 100) => (
  { n: t, t, accepted: t, packets, by }
);

/** Seconds as a stream tells them. */
function add(series: Series, ...times: number[]): void {
  for (const t of times) series.add({ boot: "b", point: point(t) });
}

const times = (series: Series) => series.points.map(({ t }: { t: number }) => t);

Deno.test("series.add() takes each second once, whatever the wall clock does", () => {
  const series = new Series();
  add(series, 1, 2, 2, 1, 3);
  assertEquals(times(series), [1, 2, 3]);
  // An hour back: what was then is no past any more.
  series.add({ boot: "b", point: { ...point(-3600), n: 4 } });
  series.add({ boot: "b", point: { ...point(-3599), n: 5 } });
  assertEquals(times(series), [-3600, -3599]);
  // Another process, which counts anew.
  series.add({ boot: "c", point: { ...point(-3598), n: 1 } });
  assertEquals(times(series), [-3600, -3599, -3598]);
});

Deno.test("series.restart() has the seconds of a history once, and keeps those before it", () => {
  const series = new Series();
  series.restart({ boot: "b", points: [1, 2, 3].map((t) => point(t)) });
  add(series, 3, 4);
  series.restart({ boot: "b", points: [3, 4, 5].map((t) => point(t)) });
  add(series, 5, 6);
  assertEquals(times(series), [1, 2, 3, 4, 5, 6]);
  // Another process, which knows nothing of the past.
  series.restart({ boot: "c", points: [] });
  series.restart({ boot: "c", points: [{ ...point(9), n: 1 }] });
  assertEquals(times(series), [1, 2, 3, 4, 5, 6, 9]);
});

Deno.test("series keeps five minutes of thirty", () => {
  const series = new Series();
  for (let t = 0; t < 1800; t++) add(series, t);
  assertEquals(series.points.length, 301);
  assertEquals(series.points[0].t, 1499);
});

Deno.test("series.columns() leaves a gap where seconds are missing", () => {
  const series = new Series();
  add(series, 1, 2, 10);
  const read = ({ accepted }: { accepted: number }) => accepted;
  assertEquals(series.columns([read]), [[1, 2, 3, 10], [1, 2, null, 10]]);
});

Deno.test("series.shares() is of the last five seconds, if enough packets came in them", () => {
  const series = new Series();
  assertEquals(series.shares(), undefined);
  for (let t = 0; t < 10; t++) {
    const by = t < 5 ? { a: 100, b: 0 } : { a: 1, b: 3 };
    series.add({ boot: "b", point: point(t, by, 10) });
  }
  assertEquals(series.shares(), new Map([["a", 0.25], ["b", 0.75]]));
  series.add({ boot: "b", point: point(10, { a: 1, b: 3 }, 9) });
  assertEquals(series.shares(), undefined, "a packet more or less would be 2 %");
  series.add({ boot: "b", point: point(60, { a: 1, b: 3 }, 50) });
  assertEquals(series.shares(), new Map([["a", 0.25], ["b", 0.75]]), "none across a gap");
});

Deno.test("series keeps of many analyzers only those with the most weight, but for the last seconds", () => {
  const series = new Series();
  const by = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a${i + 1}`, 1]));
  const analyzers = Object.keys(by).map((id) => ({ id, weight: id === "a77" ? 9 : 1 }));
  series.chart(analyzers);
  for (let t = 0; t < 10; t++) series.add({ boot: "b", point: point(t, { ...by }) });
  const kept = series.points.map((one: { by: object }) => Object.keys(one.by).length);
  assertEquals(kept, [8, 8, 8, 8, 8, 100, 100, 100, 100, 100]);
  assertEquals(series.charted, ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a77"]);
  assertEquals(Object.keys(series.points[0].by), series.charted);
  assertEquals(series.shares()!.size, 100);
});

Deno.test("parseEvents() tells of whole events and keeps the rest", () => {
  const seen: unknown[] = [];
  const rest = parseEvents(
    'event:a\ndata:{"x":1}\n\n:note\r\n\r\nevent: b\ndata: [1,\ndata:2]\n\nevent:c\nda',
    (name: string, data: unknown) => seen.push([name, data]),
  );
  assertEquals(seen, [["a", { x: 1 }], ["b", [1, 2]]]);
  assertEquals(rest, "event:c\nda");
});

Deno.test("format gives numbers that people read", () => {
  assertEquals([0, 0.4, 7, 999, 1234, 45_678, 999_999].map(short), [
    "0",
    "0.4",
    "7",
    "999",
    "1.2k",
    "46k",
    "1.0M",
  ]);
  assertEquals([null, 0, 0.26, 12.4, 1234, 15_000].map(duration), [
    "–",
    "0 ms",
    "0.3 ms",
    "12 ms",
    "1.2 s",
    "15 s",
  ]);
  assertEquals([durations(1.9, 86), durations(20, 3000)], ["1.9 / 86 ms", "20 ms / 3.0 s"]);
  assertEquals([5, 185, 7800, 90_000].map(age), ["5 s", "3 min 5 s", "2 h 10 min", "1 d 1 h"]);
  assertEquals([0.5, undefined].map(percent), ["50.0 %", "–"]);
  assertEquals([shorten("analyzer1"), shorten("prod-eu-west-1-analyzer-07")], [
    "analyzer1",
    "prod-e…yzer-07",
  ]);
  assertEquals(["a10", "a9", "a1"].sort(byName), ["a1", "a9", "a10"]);
  assertEquals([512, 2048, 268_435_456].map(bytes), ["512 B", "2.0 KiB", "256 MiB"]);
});

Deno.test("assignColors() gives each analyzer a colour that it keeps, whoever comes and goes", () => {
  assignColors(["b", "c"]);
  const [b, c] = [colorOf("b"), colorOf("c")];
  assertNotEquals(b, c);
  assignColors(["a", "b", "c"]);
  assertEquals([colorOf("b"), colorOf("c")], [b, c]);
  assignColors(["a", "c"]);
  assignColors(["a", "c", "d"]);
  assertEquals([colorOf("c"), colorOf("d")], [c, b]);
  assertEquals(colorOf("nobody"), "--series-none");
});
