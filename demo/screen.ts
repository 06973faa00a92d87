/**
 * Where the demo is seen: on a terminal a table redrawn in place below the lines of the story,
 * elsewhere plain lines only.
 *
 * Always true: the cursor is visible again after close(), and below all that was written.
 */

import { describeScene, drawScene, type Look, paint, type Scene } from "./table.ts";
import type { Verdict } from "./verdicts.ts";

const STATUS_INTERVAL_SECONDS = 2;
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const INDENT = " ".repeat("PASS ".length);
const CLEAR_ALL = "\x1b[2J\x1b[H";
const CLEAR_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
/** Between these a terminal that knows them shows nothing half-drawn; others ignore them. */
const BEGIN_UPDATE = "\x1b[?2026h";
const END_UPDATE = "\x1b[?2026l";

export interface ScreenOptions {
  /** Whether to redraw in place. */
  readonly live: boolean;
  readonly color: boolean;
  readonly size: () => { columns: number; rows: number };
  readonly write: (text: string) => void;
}

export class Screen {
  readonly #options: ScreenOptions;
  #frame: string[] = [];
  #columns = 0;
  #closed = false;
  #statusAtSeconds = -Infinity;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  get isLive(): boolean {
    return this.#options.live;
  }

  get look(): Look {
    return { columns: this.#options.size().columns, color: this.#options.color };
  }

  /** Adds to the story, above the table. */
  say(text = ""): void {
    const { live, write } = this.#options;
    if (!live || this.#closed) return write(`${text}\n`);
    write(this.#rewind() + this.#compose([...text.split("\n"), ...this.#frame]));
  }

  /** Begins a chapter; on a terminal its words stand above the table. */
  begin(title: string, look: string): void {
    if (!this.isLive) this.say(`\n${title}\n  ${look}`);
  }

  /** Shows a moment. */
  draw(scene: Scene): void {
    if (this.#closed) return;
    if (this.isLive) return this.#redraw(scene);
    if (scene.recent.at(-1)!.metrics.analyzers.length === 0) return;
    if (scene.elapsedSeconds - this.#statusAtSeconds < STATUS_INTERVAL_SECONDS) return;
    this.#statusAtSeconds = scene.elapsedSeconds;
    this.say(describeScene(scene));
  }

  /** Takes the table away. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.isLive) this.#options.write(this.#rewind() + CLEAR_BELOW + SHOW_CURSOR);
  }

  #redraw(scene: Scene): void {
    const { size, write } = this.#options;
    const now = size();
    // A terminal that has changed its width has wrapped lines at will.
    const isWrapped = this.#frame.length > 0 && now.columns !== this.#columns;
    const start = isWrapped ? CLEAR_ALL : this.#rewind();
    this.#columns = now.columns;
    this.#frame = ["", ...drawScene(scene, this.look)].slice(0, now.rows - 1);
    write(HIDE_CURSOR + start + this.#compose(this.#frame));
  }

  /** Goes back to the first line of the table. */
  #rewind(): string {
    return this.#frame.length > 0 ? `\r\x1b[${this.#frame.length}A` : "";
  }

  /** Writes over what is there: clearing it first would flicker. */
  #compose(lines: readonly string[]): string {
    const text = lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join("");
    return BEGIN_UPDATE + text + CLEAR_BELOW + END_UPDATE;
  }
}

/** Writes a verdict; on a terminal its further lines hang below the first. */
export function formatVerdict({ holds, text }: Verdict, look: Look): string {
  const word = holds ? paint("PASS", "green", look) : paint("FAIL", "red", look);
  return `${word} ${wrap(text, look.columns - INDENT.length - 1).join(`\n${INDENT}`)}`;
}

/** Breaks a text between words into lines no longer than `width`, where words allow it. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && longer.length > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
