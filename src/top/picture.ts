/** The picture of `distributor top`: one snapshot as lines for a terminal. Pure. */

import type { AnalyzerView, StatusKind } from "../analyzer_view.ts";
import { byName } from "../dashboard/client/format.js";
import { isBalanced, nameStatus } from "../dashboard/client/status.js";
import type { Snapshot } from "../dashboard/snapshot.ts";

export interface Look {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
}

type Color = "dim" | "bold" | "green" | "yellow" | "red" | "blue";
const CODES: Record<Color, number> = { dim: 2, bold: 1, green: 32, yellow: 33, red: 31, blue: 36 };

const MIN_ID = 10;
const MAX_ID = 33;
const STATE_WIDTH = 13;
const SHARES_WIDTH = "target actual ".length;
const NUMBER_WIDTH = 8;
const MIN_BAR = 10;
const MAX_BAR = 40;

const STATUS_COLORS: Record<StatusKind, Color> = {
  healthy: "green",
  slow_start: "yellow",
  probation: "yellow",
  resting: "yellow",
  full: "yellow",
  paused: "dim",
  ejected: "red",
};

/** Rates are of the last second; shares and percentiles of each analyzer are as the API has them. */
export function drawPicture(
  snapshot: Snapshot,
  { look, source }: { look: Look; source: string },
): string[] {
  const { state, point, latency_ms } = snapshot;
  const { queued, in_flight, delivered, dead_lettered, accepted } = state;
  const head = [
    `${paint("distributor", "bold", look)} ${state.version} at ${source}, up ${
      formatAge(state.uptime_seconds)
    }, kept ${state.durability === "disk" ? "on disk" : "in memory"}`,
    `accepted ${short(point.accepted)} messages/s (${short(point.packets)} packets/s)  delivered ${
      short(point.delivered)
    } messages/s`,
    `refused ${short(point.refused)} packets/s  delivered within p50 ${milli(point.p50)} p99 ${
      milli(point.p99)
    }  202 within p99 ${milli(latency_ms.accept_p99)}`,
    `queue ${short(queued.in_memory.packets)} of ${short(queued.capacity)} packets, ${
      short(queued.packets - queued.in_memory.packets)
    } on disk  dead letters ${short(state.dead_letters)}  retries ${short(state.retries)}  memory ${
      Math.round(snapshot.memory_bytes / 1024 ** 2)
    } MiB  loop late ${milli(latency_ms.loop_lag_max)}`,
    `${
      isBalanced(state) ? paint("balances", "green", look) : paint("DOES NOT BALANCE", "red", look)
    }: ${group(accepted.packets)} packets accepted = ${group(delivered.packets)} delivered + ${
      group(dead_lettered.packets)
    } dead-lettered + ${group(queued.packets)} queued + ${group(in_flight.packets)} in flight`,
  ];
  const lines = [
    ...head.flatMap((line) => wrap(line, look.columns)),
    ...drawWarnings(snapshot, look),
    "",
    ...drawTable(snapshot, look),
  ];
  return cutTo(look.rows, lines).map((line) => clip(line, look.columns));
}

function drawWarnings({ unready, warnings }: Snapshot, look: Look): string[] {
  const refused = unready === null
    ? []
    : [{ severity: "critical", text: `packets are refused: ${unready}` }];
  return [...refused, ...warnings].flatMap(({ severity, text }) =>
    wrapText(`${severity}: ${printable(text)}`, look.columns)
      .map((line) => paint(line, severity === "critical" ? "red" : "yellow", look))
  );
}

/** Breaks a line where its parts end: between them are two spaces, or a sign of the sum. */
function wrap(line: string, columns: number): string[] {
  return fold(line, { columns, gaps: /( {2}| (?=[+=] ))/ });
}

/** Breaks a sentence between words. */
function wrapText(text: string, columns: number): string[] {
  return fold(text, { columns, gaps: /( )/ });
}

function fold(line: string, { columns, gaps }: { columns: number; gaps: RegExp }): string[] {
  const [first, ...rest] = line.split(gaps);
  const lines = [first!];
  for (let i = 0; i < rest.length; i += 2) {
    const [gap, part] = [rest[i]!, rest[i + 1]!];
    const longer = lines.at(-1)! + gap + part;
    if (lengthOf(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(`  ${part}`);
  }
  return lines;
}

/** Colour codes take no room. */
function lengthOf(line: string): number {
  // deno-lint-ignore no-control-regex
  return [...line.replace(/\x1b\[\d+m/g, "")].length;
}

/** Says how much does not fit. */
function cutTo(rows: number, lines: readonly string[]): readonly string[] {
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, Math.max(0, rows - 1));
  return [...shown, `… ${lines.length - shown.length} more lines`];
}

/** A column of numbers. */
interface Column {
  readonly name: string;
  readonly read: (analyzer: AnalyzerView, rate: number | undefined) => string;
}

/** From left to right; where there is no room for all, those go first that are named last below. */
const COLUMNS: readonly Column[] = [
  { name: "weight", read: ({ weight }) => String(weight) },
  { name: "msg/s", read: (_, rate) => rate === undefined ? "-" : short(rate) },
  { name: "flight", read: ({ in_flight }) => short(in_flight) },
  { name: "failed", read: ({ failures }) => short(sum(Object.values(failures))) },
  { name: "p99", read: ({ latency_ms: { p99 } }) => p99 > 0 ? milli(p99) : "-" },
];
const BY_WORTH = ["msg/s", "p99", "failed", "weight", "flight"];

interface Layout {
  readonly id: number;
  /** 0 where there is no room for one. */
  readonly bar: number;
  readonly columns: readonly Column[];
}

/** Shares come first, then numbers, then whole ids, then the bar. */
function layOut(columns: number, longestId: number): Layout {
  let left = columns - MIN_ID - STATE_WIDTH - SHARES_WIDTH;
  const count = Math.max(0, Math.min(COLUMNS.length, Math.floor(left / NUMBER_WIDTH)));
  const kept = BY_WORTH.slice(0, count);
  left -= count * NUMBER_WIDTH;
  const id = Math.max(MIN_ID, Math.min(longestId + 1, MAX_ID, MIN_ID + left));
  left -= id - MIN_ID;
  const bar = left > MIN_BAR ? Math.min(MAX_BAR, left - 1) : 0;
  return { id, bar, columns: COLUMNS.filter(({ name }) => kept.includes(name)) };
}

function drawTable({ state, point }: Snapshot, look: Look): string[] {
  const analyzers = state.analyzers.toSorted((a, b) => byName(a.id, b.id));
  const longest = Math.max(0, ...analyzers.map(({ id }) => printable(id).length));
  const layout = layOut(look.columns, longest);
  const header = "analyzer".padEnd(layout.id) + "state".padEnd(STATE_WIDTH) + "target actual " +
    (layout.bar > 0 ? nameShare(analyzers).padEnd(layout.bar + 1) : "") +
    layout.columns.map(({ name }) => name.padStart(NUMBER_WIDTH)).join("");
  const rows = analyzers.map((analyzer) =>
    drawRow(analyzer, { rate: point.by[analyzer.id], layout, look })
  );
  const reasons = analyzers.filter(({ status }) => status.kind !== "healthy").flatMap(
    ({ id, status: { reason, seconds } }) =>
      wrapText(
        `${printable(id)}: ${printable(reason)}, for ${formatAge(seconds)}`,
        look.columns,
      ).map((line) => paint(line, "dim", look)),
  );
  return [paint(header, "dim", look), ...rows, ...(reasons.length > 0 ? ["", ...reasons] : [])];
}

function drawRow(
  analyzer: AnalyzerView,
  { rate, layout, look }: { rate: number | undefined; layout: Layout; look: Look },
): string {
  const { id, share, status } = analyzer;
  const { symbol, word } = nameStatus(status);
  const state = `${symbol} ${word.toLowerCase()}`.padEnd(STATE_WIDTH);
  const bar = drawBar(share.actual, { target: share.target, width: layout.bar });
  return cutName(printable(id), layout.id - 1).padEnd(layout.id) +
    paint(state, STATUS_COLORS[status.kind] ?? "dim", look) +
    `${percent(share.target)} ${percent(share.actual)} ` +
    (layout.bar > 0 ? `${paint(bar, "blue", look)} ` : "") +
    layout.columns.map(({ read }) => read(analyzer, rate).padStart(NUMBER_WIDTH)).join("");
}

/** Ids differ at their ends. */
function cutName(name: string, width: number): string {
  if (name.length <= width) return name;
  const head = Math.floor((width - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (width - 1 - head))}`;
}

/** A bar as long as the actual share, with a mark where the target is. */
function drawBar(actual: number, { target, width }: { target: number; width: number }): string {
  const full = "█".repeat(Math.round(Math.min(actual, 1) * width)).padEnd(width, "·");
  if (target === 0) return full;
  const at = Math.min(Math.floor(target * width), width - 1);
  return `${full.slice(0, at)}│${full.slice(at + 1)}`;
}

/** With the time that the actual shares are over; it fits where the bar is shortest. */
function nameShare([first]: readonly AnalyzerView[]): string {
  return first ? `in ${first.share.window_seconds} s` : "share";
}

function paint(text: string, color: Color, { color: isOn }: Look): string {
  return isOn ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text;
}

/** What others have written must not move the cursor. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?").slice(0, 200);
}

/** Cuts a line to a width; colour codes take none. */
function clip(line: string, width: number): string {
  let left = width;
  // deno-lint-ignore no-control-regex
  return line.replace(/\x1b\[\d+m|./gsu, (piece) => {
    if (piece.startsWith("\x1b")) return piece;
    return left-- > 0 ? piece : "";
  });
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const group = (value: number) => value.toLocaleString("en-US");
const percent = (part: number) => `${(part * 100).toFixed(1)}%`.padStart(6);

function short(value: number): string {
  if (value < 10_000) return group(Math.round(value));
  return value < 1e6 ? `${(value / 1e3).toFixed(1)}k` : `${(value / 1e6).toFixed(1)}M`;
}

function milli(ms: number | null): string {
  if (ms === null) return "-";
  return ms < 10
    ? `${ms.toFixed(1)}ms`
    : ms < 10_000
    ? `${ms.toFixed(0)}ms`
    : `${(ms / 1000).toFixed(0)}s`;
}

function formatAge(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
