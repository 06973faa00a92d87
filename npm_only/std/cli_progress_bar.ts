/** Stand-in for `@std/cli/unstable-progress-bar`: one line, redrawn every second. */

/** What a formatter is given at every redraw. */
export interface ProgressBarFormatter {
  /** Time since the start, `mm:ss`. */
  styledTime: string;
  /** The bar alone: `###-------`. */
  progressBar: string;
  /** Milliseconds since the start. */
  time: number;
  value: number;
  max: number;
}

export interface ProgressBarOptions {
  /** @default Deno.stderr.writable */
  writable?: WritableStream<Uint8Array>;
  /** @default 0 */
  value?: number;
  max: number;
  /** In characters. @default 50 */
  barLength?: number;
  /** Takes the line away at the end. @default false */
  clear?: boolean;
  /** Writes the line. */
  formatter: (formatter: ProgressBarFormatter) => string;
}

const CLEAR_LINE = "\r\x1b[K";
const REDRAW_MS = 1000;

/** Shows `value` of `max`; its timer keeps the process alive until {@link stop}. */
export class ProgressBar {
  value: number;
  max: number;
  readonly #options: ProgressBarOptions;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #startedAtMs = Date.now();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(options: ProgressBarOptions) {
    this.value = options.value ?? 0;
    this.max = options.max;
    this.#options = options;
    this.#writer = (options.writable ?? Deno.stderr.writable).getWriter();
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
    this.#draw();
  }

  /** Draws the last state (or clears the line) and gives the writable back. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#options.clear) this.#draw();
    await this.#write(this.#options.clear ? CLEAR_LINE : "\n");
    this.#writer.releaseLock();
  }

  #draw(): void {
    const { barLength = 50, formatter } = this.#options;
    const filled = Math.trunc(Math.min(Math.max(this.value / this.max, 0), 1) * barLength);
    const time = Date.now() - this.#startedAtMs;
    const minutes = String(Math.trunc(time / 60_000)).padStart(2, "0");
    const seconds = String(Math.trunc(time / 1000) % 60).padStart(2, "0");
    const line = formatter({
      styledTime: `${minutes}:${seconds}`,
      progressBar: "#".repeat(filled) + "-".repeat(barLength - filled),
      time,
      value: this.value,
      max: this.max,
    });
    this.#write(CLEAR_LINE + line);
  }

  /** A terminal that has gone away is nobody's error. */
  #write(text: string): Promise<void> {
    return this.#writer.write(this.#encoder.encode(text)).catch(() => {});
  }
}
