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

const ID_WIDTH = 16;
const STATE_WIDTH = 13;
const MIN_BAR = 10;
const MAX_BAR = 40;
/** What stands beside the bar. */
const FIXED_WIDTH = ID_WIDTH + STATE_WIDTH + 58;

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
  const lines = [
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
    ...drawWarnings(snapshot, look),
    "",
    ...drawTable(snapshot, look),
  ];
  return cutTo(look.rows, lines).map((line) => clip(line, look.columns));
}

function drawWarnings({ unready, warnings }: Snapshot, look: Look): string[] {
  const lines = warnings.map(({ severity, text }) =>
    paint(`${severity}: ${printable(text)}`, severity === "critical" ? "red" : "yellow", look)
  );
  return unready === null ? lines : [
    paint(`critical: packets are refused: ${printable(unready)}`, "red", look),
    ...lines,
  ];
}

/** Says how much does not fit. */
function cutTo(rows: number, lines: readonly string[]): readonly string[] {
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, Math.max(0, rows - 1));
  return [...shown, `… ${lines.length - shown.length} more lines`];
}

function drawTable({ state, point }: Snapshot, look: Look): string[] {
  const analyzers = state.analyzers.toSorted((a, b) => byName(a.id, b.id));
  const bar = Math.min(MAX_BAR, Math.max(MIN_BAR, look.columns - FIXED_WIDTH));
  const header = "analyzer".padEnd(ID_WIDTH) + "state".padEnd(STATE_WIDTH) + "target actual " +
    nameShare(analyzers).padEnd(bar + 1) +
    ["weight", "msg/s", "flight", "failed", "p99"].map((word) => word.padStart(8)).join("");
  const rows = analyzers.map((analyzer) => {
    const { id, share, weight, in_flight, failures, latency_ms } = analyzer;
    const { symbol, word } = nameStatus(analyzer.status);
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
    const rate = point.by[id];
    const numbers = [
      String(weight),
      rate === undefined ? "-" : short(rate),
      short(in_flight),
      short(failed),
      milli(latency_ms.p99),
    ];
    return printable(id).slice(0, ID_WIDTH - 1).padEnd(ID_WIDTH) +
      paint(
        `${symbol} ${word.toLowerCase()}`.padEnd(STATE_WIDTH),
        STATUS_COLORS[analyzer.status.kind] ?? "dim",
        look,
      ) +
      `${percent(share.target)} ${percent(share.actual)} ` +
      paint(drawBar(share.actual, { target: share.target, width: bar }), "blue", look) + " " +
      numbers.map((text) => text.padStart(8)).join("");
  });
  const reasons = analyzers.filter(({ status }) => status.kind !== "healthy").map(
    ({ id, status: { reason, seconds } }) =>
      paint(`${printable(id)}: ${printable(reason)}, for ${formatAge(seconds)}`, "dim", look),
  );
  return [paint(header, "dim", look), ...rows, ...(reasons.length > 0 ? ["", ...reasons] : [])];
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
