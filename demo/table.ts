/** Draws a moment of the demo as lines of text: the live table, and the one-line status. Pure. */

import type { AnalyzerView } from "../src/analyzer_view.ts";
import type { MetricsView } from "../src/metrics.ts";
import { type Reading, RECENT_SECONDS } from "./readings.ts";
import { groupDigits, measureShares, sharesOf } from "./verdicts.ts";

/** What stands around the table. */
export interface Chapter {
  readonly title: string;
  /** One sentence: what to look at. */
  readonly look: string;
}

/** A moment of the demo. */
export interface Scene {
  readonly chapter: Chapter;
  /** What is being done now, such as "measuring for 8 s". */
  readonly doing: string;
  readonly elapsedSeconds: number;
  /** Of the last seconds, oldest first, at least one. */
  readonly recent: readonly Reading[];
}

export interface Look {
  readonly columns: number;
  readonly color: boolean;
}

const COLORS = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" };
/** The longest bar stands for this share; .571 is the largest in the story. */
const BAR_SHARE = 0.6;
const MIN_BAR = 8;
const MAX_BAR = 48;
const EIGHTHS = " ▏▎▍▌▋▊▉█";
const RIGHT = { weight: 6, target: 6, actual: 6, messages: 9, inFlight: 9, p50: 8 };
const ID_WIDTH = 9;
const STATE_WIDTH = 10;
/** Everything in a row but the bar. */
const FIXED_WIDTH = ID_WIDTH + 1 + STATE_WIDTH +
  Object.values(RIGHT).reduce((sum, width) => sum + width, 0) + 6;

/** Wraps text in a colour, if there are any. */
export function paint(text: string, name: keyof typeof COLORS, { color }: Look): string {
  return color ? `\x1b[${COLORS[name]}m${text}\x1b[0m` : text;
}

/** What every line with a time begins with. */
export function formatTime(elapsedSeconds: number): string {
  return `${elapsedSeconds.toFixed(1).padStart(6)} s  `;
}

/** Draws the live table; no line is wider than the terminal. */
export function drawScene(scene: Scene, look: Look): string[] {
  const { chapter, doing, elapsedSeconds, recent } = scene;
  const { metrics } = recent.at(-1)!;
  const clock = `${Math.floor(elapsedSeconds)} s`;
  const title = chapter.title.padEnd(Math.min(FIXED_WIDTH + MIN_BAR, look.columns - 1) - 6);
  return [
    paint(title, "bold", look) + clock.padStart(6),
    chapter.look,
    "",
    ...drawTable(recent, look),
    "",
    formatBooks(metrics),
    `${formatLoad(recent)} | ${doing}`,
  ].map((line) => clip(line, look.columns - 1));
}

/** Writes the moment in one line, for where there is no terminal. */
export function describeScene({ recent, doing, elapsedSeconds }: Scene): string {
  const { metrics } = recent.at(-1)!;
  const { shares } = measureRecent(recent);
  const actual = shares.map((share) => share.toFixed(3)).join(" ");
  return `${formatTime(elapsedSeconds)}shares ${actual} | ${formatLoad(recent)} | queued ${
    groupDigits(metrics.queued.packets + metrics.in_flight.packets)
  } | ${doing}`;
}

function drawTable(recent: readonly Reading[], look: Look): string[] {
  const analyzers = sortById(recent.at(-1)!.metrics.analyzers);
  const { shares } = measureRecent(recent);
  const barWidth = Math.min(MAX_BAR, Math.max(MIN_BAR, look.columns - 1 - FIXED_WIDTH));
  const header = "analyzer".padEnd(ID_WIDTH + 1) + "state".padEnd(STATE_WIDTH) +
    "weight".padStart(RIGHT.weight) + " " + "target".padStart(RIGHT.target) + " " +
    "actual".padStart(RIGHT.actual) + " " + "share".padEnd(barWidth) + " " +
    "messages".padStart(RIGHT.messages) + " " + "in flight".padStart(RIGHT.inFlight) +
    "p50".padStart(RIGHT.p50);
  const rows = analyzers.map((analyzer, i) => {
    const state = describeState(analyzer, analyzers);
    const share = { actual: shares[i] ?? 0, target: analyzer.share.target };
    return analyzer.id.slice(0, ID_WIDTH).padEnd(ID_WIDTH + 1) +
      paint(state.padEnd(STATE_WIDTH), STATE_COLORS[state], look) +
      String(analyzer.weight).padStart(RIGHT.weight) + " " +
      share.target.toFixed(3).padStart(RIGHT.target) + " " +
      share.actual.toFixed(3).padStart(RIGHT.actual) + " " +
      paint(drawBar(share, barWidth), "cyan", look) + " " +
      groupDigits(analyzer.delivered.messages).padStart(RIGHT.messages) + " " +
      groupDigits(analyzer.in_flight).padStart(RIGHT.inFlight) +
      `${analyzer.latency_ms.p50.toFixed(1)} ms`.padStart(RIGHT.p50);
  });
  return [paint(header, "dim", look), ...rows];
}

const STATE_COLORS = {
  healthy: "green",
  "slow start": "yellow",
  probation: "yellow",
  ejected: "red",
} as const;

/** A healthy analyzer whose target is below its weight's share is in slow start. */
function describeState(
  { id, state, share }: AnalyzerView,
  all: readonly AnalyzerView[],
): keyof typeof STATE_COLORS {
  if (state !== "healthy") return state;
  const full = sharesOf(all.map(({ eligible, weight }) => eligible ? weight : 0));
  const own = full[all.findIndex((analyzer) => analyzer.id === id)]!;
  return share.target < own - 0.002 ? "slow start" : "healthy";
}

/** A bar as long as the actual share, with a mark where the target is. */
export function drawBar(share: { actual: number; target: number }, width: number): string {
  const eighths = Math.round(Math.min(share.actual / BAR_SHARE, 1) * width * 8);
  const whole = "█".repeat(eighths >> 3);
  const part = eighths % 8 > 0 ? EIGHTHS[eighths % 8] : "";
  const bar = (whole + part).padEnd(width);
  if (share.target === 0) return bar;
  const at = Math.min(Math.floor(share.target / BAR_SHARE * width), width - 1);
  return `${bar.slice(0, at)}│${bar.slice(at + 1)}`;
}

function formatBooks({ accepted, delivered, dead_lettered, queued, in_flight }: MetricsView) {
  const [all, done, dead, waiting, flying] = [
    accepted,
    delivered,
    dead_lettered,
    queued,
    in_flight,
  ].map(({ packets }) => groupDigits(packets));
  return `accepted ${all} = delivered ${done} + dead ${dead} + queued ${waiting} + ` +
    `in flight ${flying}`;
}

/** Rates and refusals; what came in during the last seconds. */
function formatLoad(recent: readonly Reading[]): string {
  const [first, last] = [recent[0]!, recent.at(-1)!];
  const seconds = (last.atMs - first.atMs) / 1000;
  const packets = last.metrics.accepted.packets - first.metrics.accepted.packets;
  const rate = seconds > 0 ? packets / seconds : 0;
  const { packets: refused } = last.metrics.rejected;
  return `${groupDigits(rate)} packets/s in` +
    (refused > 0 ? ` | ${groupDigits(refused)} refused, to come again` : "");
}

/** Shares of the last {@link RECENT_SECONDS} seconds. */
function measureRecent(recent: readonly Reading[]) {
  const [from, to] = [recent[0]!.metrics, recent.at(-1)!.metrics];
  return measureShares(sortById(to.analyzers).map(({ id }) => id), { from, to });
}

function sortById(analyzers: readonly AnalyzerView[]): AnalyzerView[] {
  return analyzers.toSorted((a, b) => a.id < b.id ? -1 : 1);
}

/** Cuts a line to a width; colour codes take none. */
export function clip(line: string, width: number): string {
  let left = width;
  let clipped = "";
  // deno-lint-ignore no-control-regex
  for (const [code, character] of line.matchAll(/\x1b\[[\d;]*m|(.)/gsu)) {
    if (character === undefined) clipped += code;
    else if (left-- > 0) clipped += character;
  }
  return clipped;
}

/** What the table's numbers are. */
export const TABLE_NOTE =
  `actual is of the messages of the last ${RECENT_SECONDS} s, │ marks the target`;
