/** Prometheus' text format 0.0.4: families of samples, written once and thrown away. */

import { BOUNDS_MS, type Timing } from "./timing.ts";

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Bounds as labels, in seconds. */
const BOUND_LABELS = BOUNDS_MS.map((boundMs) => `{le="${boundMs / 1000}"}`);

export class Exposition {
  #text = "";
  #name = "";

  /** Begins a family; its samples follow. */
  family(name: string, type: "counter" | "gauge" | "histogram" | "summary", help: string): this {
    this.#name = `distributor_${name}`;
    return this.#head(type, help);
  }

  /** The same with a name that is not ours alone, such as `process_open_fds`. */
  common(name: string, type: "counter" | "gauge", help: string): this {
    this.#name = name;
    return this.#head(type, help);
  }

  /** A family of one sample. */
  counter(name: string, help: string, value: number): void {
    this.family(name, "counter", help).sample(value);
  }

  /** A family of one sample. */
  gauge(name: string, help: string, value: number): void {
    this.family(name, "gauge", help).sample(value);
  }

  /** A family of one histogram. */
  timing(name: string, help: string, { counts, count, sumMs }: Timing): void {
    this.family(name, "histogram", help);
    let sum = 0;
    for (const [bucket, label] of BOUND_LABELS.entries()) {
      sum += counts[bucket]!;
      this.#text += `${this.#name}_bucket${label} ${sum}\n`;
    }
    this.#text += `${this.#name}_bucket{le="+Inf"} ${count}\n` +
      `${this.#name}_sum ${sumMs / 1000}\n${this.#name}_count ${count}\n`;
  }

  /**
   * @param labels written: `{a="b"}`, or nothing
   * @param suffix of the name, where the type has parts: `_sum`, `_count`
   */
  sample(value: number, labels = "", suffix = ""): this {
    this.#text += `${this.#name}${suffix}${labels} ${value}\n`;
    return this;
  }

  toString(): string {
    return this.#text;
  }

  #head(type: string, help: string): this {
    this.#text += `# HELP ${this.#name} ${help}\n# TYPE ${this.#name} ${type}\n`;
    return this;
  }
}

/** `{analyzer="a",state="healthy"}`. */
export function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replace(/[\\"\n]/g, (sign) => sign === "\n" ? "\\n" : `\\${sign}`)}"`
  );
  return `{${pairs.join(",")}}`;
}
