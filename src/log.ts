/**
 * The only door to the console: JSON lines, or readable text on a terminal, to stderr.
 *
 * Called by the programs' entries, the distributor and the registry, with short constant
 * sentences as events ("analyzer ejected") and everything that varies as fields.
 * Always true: one call is at most one line, it never throws, and a storm of one event is folded.
 */

import { BaseHandler } from "@std/log/base-handler";
import type { LevelName } from "@std/log/levels";
import { Logger, type LogRecord } from "@std/log/logger";
import { type Cancel, type Clock, systemClock } from "./clock.ts";
import { LineWriter } from "./line_writer.ts";

export type LogFormat = "auto" | "json" | "text";
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

/** Where events are told. WARN: unexpected, nothing lost; ERROR: loss, or an operator is needed. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /**
   * Writes what is still folded, for the end of the process; resolves once all lines are out, or
   * after half a second if nobody reads them.
   */
  end(): Promise<void>;
}

export interface LogOptions {
  /** `auto` is text on a terminal and JSON elsewhere. @default "auto" */
  readonly format?: LogFormat;
  /** The least level that is written. @default "info" */
  readonly level?: LogLevel;
  /** @default whether stderr is one */
  readonly isTerminal?: boolean;
  /** @default whether NO_COLOR is set */
  readonly noColor?: boolean;
  /** Takes one line without its line break. @default writes to stderr, waiting for nobody */
  readonly write?: (line: string) => void;
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * Of one event at one level, with one `id` and one `reason` where it has them, this many lines are
 * written within a window, the rest is counted.
 */
export const MAX_LINES_PER_WINDOW = 5;
export const WINDOW_MS = 10_000;
const CLOSE_TICK_MS = 1000;
const END_TIMEOUT_MS = 500;
/** What is told apart within a window; of more, events are folded whatever they are about. */
export const MAX_WINDOWS = 4000;
/** Longer strings are cut. */
export const MAX_TEXT_LENGTH = 256;
const MAX_DEPTH = 4;
const MAX_ENTRIES = 32;

/** Makes a log. */
export function createLog(options: LogOptions = {}): Log {
  const {
    format = "auto",
    level = "info",
    isTerminal = Deno.stderr.isTerminal(),
    noColor = Deno.noColor,
    clock = systemClock,
  } = options;
  const asText = format === "text" || (format === "auto" && isTerminal);
  const formatLine = asText
    ? (line: Line) => formatText(line, { color: isTerminal && !noColor })
    : formatJson;
  const levelName = level.toUpperCase() as LevelName;
  const writer = new LineWriter({
    write: (bytes) => Deno.stderr.write(bytes),
    describeDropped: (lines) =>
      formatLine({
        wallMs: clock.wallMs(),
        level: "warn",
        event: "log lines dropped: nobody read them",
        fields: { lines },
      }),
    clock,
  });
  const { write = (line) => writer.write(line) } = options;
  const handler = new FoldingHandler(levelName, { formatLine, write, clock });
  const logger = new Logger("default", levelName, { handlers: [handler] });
  return {
    debug: (event, fields) => void logger.debug(event, fields),
    info: (event, fields) => void logger.info(event, fields),
    warn: (event, fields) => void logger.warn(event, fields),
    error: (event, fields) => void logger.error(event, fields),
    end() {
      handler.flush();
      return writer.end(END_TIMEOUT_MS);
    },
  };
}

interface Line {
  readonly wallMs: number;
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** What has been said of one event in the present window. */
interface Window {
  readonly startedAtMs: number;
  readonly level: string;
  readonly event: string;
  readonly about: LogFields;
  seen: number;
  lastWallMs: number;
}

interface HandlerOptions {
  readonly formatLine: (line: Line) => string;
  readonly write: (line: string) => void;
  readonly clock: Clock;
}

/**
 * Writes records, folding storms. What was folded is told when its window is over, or by
 * `flush`, without which a process would live on until then.
 */
class FoldingHandler extends BaseHandler {
  readonly #options: HandlerOptions;
  /** In the order of their start, so that expired ones stand in front. */
  readonly #windows = new Map<string, Window>();
  #cancelClose: Cancel | undefined;

  constructor(level: LevelName, options: HandlerOptions) {
    super(level);
    this.#options = options;
  }

  override handle(record: LogRecord): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#closeOver(nowMs);
    const level = record.levelName.toLowerCase();
    const fields = record.args[0] as LogFields | undefined;
    const window = this.#windowOf({ level, event: record.msg, about: aboutOf(fields) }, nowMs);
    window.lastWallMs = this.#options.clock.wallMs();
    window.seen++;
    if (window.seen > MAX_LINES_PER_WINDOW) this.#closeLater();
    else this.#writeLine(level, record.msg, fields);
  }

  #windowOf(line: Pick<Window, "level" | "event" | "about">, nowMs: number): Window {
    const { level, event } = line;
    const own = this.#windows.get(JSON.stringify([level, event, line.about]));
    if (own) return own;
    const about = this.#windows.size < MAX_WINDOWS ? line.about : {};
    const key = JSON.stringify([level, event, about]);
    let window = this.#windows.get(key);
    if (!window) {
      window = { startedAtMs: nowMs, level, event, about, seen: 0, lastWallMs: 0 };
      this.#windows.set(key, window);
    }
    return window;
  }

  override log(line: string): void {
    try {
      this.#options.write(line);
    } catch {
      // Whatever becomes of the line: who has said it must not hear of it.
    }
  }

  flush(): void {
    this.#cancelClose?.();
    this.#cancelClose = undefined;
    this.#close(() => true);
  }

  /** Once a second is often enough for a window of ten. */
  #closeLater(): void {
    if (this.#cancelClose) return;
    const { clock } = this.#options;
    this.#cancelClose = clock.after(CLOSE_TICK_MS, () => {
      this.#cancelClose = undefined;
      this.#closeOver(clock.monotonicMs());
      if (this.#windows.values().some(({ seen }) => seen > MAX_LINES_PER_WINDOW)) {
        this.#closeLater();
      }
    });
  }

  #closeOver(nowMs: number): void {
    this.#close((window) => nowMs - window.startedAtMs >= WINDOW_MS);
  }

  #close(isOver: (window: Window) => boolean): void {
    for (const [key, window] of this.#windows) {
      if (!isOver(window)) return;
      this.#windows.delete(key);
      const repeated = window.seen - MAX_LINES_PER_WINDOW;
      if (repeated <= 0) continue;
      const until = new Date(window.lastWallMs).toISOString();
      this.#writeLine(window.level, window.event, { ...window.about, repeated, until });
    }
  }

  #writeLine(level: string, event: string, fields: LogFields = {}): void {
    const wallMs = this.#options.clock.wallMs();
    this.log(this.#options.formatLine({ wallMs, level, event: cut(event), fields: clean(fields) }));
  }
}

/** What an event is about, where it says so: two lines with the same are a repeat. */
function aboutOf(fields: LogFields | undefined): LogFields {
  try {
    const { id, reason } = fields ?? {};
    return {
      ...(typeof id === "string" ? { id } : {}),
      ...(typeof reason === "string" ? { reason } : {}),
    };
  } catch {
    return {};
  }
}

function formatJson({ wallMs, level, event, fields }: Line): string {
  const head = { time: new Date(wallMs).toISOString(), level, event };
  // `head` twice: it comes first, and no field of the same name replaces it.
  return escapeUnprintable(JSON.stringify({ ...head, ...fields, ...head }));
}

const COLORS: Record<string, number> = { debug: 90, info: 32, warn: 33, error: 31 };

function formatText({ wallMs, level, event, fields }: Line, options: { color: boolean }): string {
  const time = new Date(wallMs).toISOString().slice(11, 23);
  const word = level.toUpperCase().padEnd(5);
  const shown = options.color ? `\x1b[${COLORS[level]}m${word}\x1b[0m` : word;
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  return `${time} ${shown} ${escapeUnprintable(event + pairs.join(""))}`;
}

function formatValue(value: unknown): string {
  return typeof value === "string" && /^[\w.:/@%+-]+$/.test(value) ? value : JSON.stringify(value);
}

/** Control and direction characters could rewrite an operator's terminal. */
function escapeUnprintable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cut(text: string): string {
  return text.length <= MAX_TEXT_LENGTH
    ? text.toWellFormed()
    : `${text.slice(0, MAX_TEXT_LENGTH).toWellFormed()}…`;
}

function clean(fields: LogFields): LogFields {
  try {
    return simplify(fields, 0) as LogFields;
  } catch (error) {
    return { unreadable: cut(String(error)) };
  }
}

/** Turns any value into bounded JSON data. */
function simplify(value: unknown, depth: number): unknown {
  if (typeof value === "string") return cut(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "boolean" || value === null || value === undefined) return value;
  if (typeof value !== "object") return cut(String(value));
  if (value instanceof Date) return value.toJSON();
  if (value instanceof Error) return cut(describeError(value));
  if (depth === MAX_DEPTH) return "…";
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ENTRIES).map((item) => simplify(item, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .slice(0, MAX_ENTRIES)
      .map(([key, item]) => [cut(key), simplify(item, depth + 1)]),
  );
}

/** The cause is where fetch puts what really happened. */
function describeError(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.name}: ${error.message}${cause}`;
}
