/**
 * Prometheus' text format 0.0.4: families of samples, written once and thrown away.
 *
 * Written as bytes, piece by piece: with a thousand analyzers it is two megabytes, and of strings
 * that were put together for each line, the collection alone took longer than all else.
 */

import { BOUNDS_MS, type Timing } from "./timing.ts";

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Bounds as labels, in seconds. */
const BOUND_LABELS = BOUNDS_MS.map((boundMs) => `{le="${boundMs / 1000}"}`);
const LEAST_BYTES = 64 * 1024;
const QUESTION_MARK = 0x3f;

/** What the one before took: the next will be as long. */
let lastLength = 0;

export class Exposition {
  #bytes = new Uint8Array(Math.max(LEAST_BYTES, lastLength + (lastLength >> 3)));
  #length = 0;
  /** Of the family, encoded: it is written for each sample. */
  #name = new Uint8Array();

  /** Begins a family; its samples follow. */
  family(name: string, type: "counter" | "gauge" | "histogram" | "summary", help: string): this {
    return this.common(`distributor_${name}`, type, help);
  }

  /** The same with a name that is not ours alone, such as `process_open_fds`. */
  common(name: string, type: "counter" | "gauge" | "histogram" | "summary", help: string): this {
    this.#name = encoder.encode(name);
    this.#write(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    return this;
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
      this.sample(sum, label, { suffix: "_bucket" });
    }
    this.sample(count, '{le="+Inf"}', { suffix: "_bucket" });
    this.sample(sumMs / 1000, "", { suffix: "_sum" });
    this.sample(count, "", { suffix: "_count" });
  }

  /**
   * @param labels written: `{a="b"}`, or nothing; encoded, where they are those of many samples
   * @param part.suffix of the name, where the type has parts: `_sum`, `_count`
   * @param part.more a further label, written: `c="d"`
   */
  sample(
    value: number,
    labels: string | Uint8Array = "",
    { suffix = "", more = "" } = {},
  ): this {
    this.#put(this.#name);
    this.#write(suffix);
    if (typeof labels === "string") this.#write(labels);
    else this.#put(labels);
    if (more !== "") {
      // In place of the closing brace.
      this.#length--;
      this.#write(",");
      this.#write(more);
      this.#write("}");
    }
    this.#write(" ");
    this.#write(String(value));
    this.#write("\n");
    return this;
  }

  /** All that was written. */
  toBytes(): Uint8Array<ArrayBuffer> {
    lastLength = this.#length;
    return this.#bytes.subarray(0, this.#length);
  }

  #put(bytes: Uint8Array): void {
    const { length } = bytes;
    if (this.#length + length > this.#bytes.length) this.#grow(length);
    this.#bytes.set(bytes, this.#length);
    this.#length += length;
  }

  /** Names, help, ids and numbers are ASCII; what is not would be no valid label here anyway. */
  #write(text: string): void {
    const { length } = text;
    if (this.#length + length > this.#bytes.length) this.#grow(length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      bytes[at++] = code < 0x80 ? code : QUESTION_MARK;
    }
    this.#length = at;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + needed));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

const encoder = new TextEncoder();

/** Labels as bytes, for {@link Exposition.sample}. */
export function encodeLabels(labels: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(labels);
}

/** `{analyzer="a",state="healthy"}`. */
export function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replace(/[\\"\n]/g, (sign) => sign === "\n" ? "\\n" : `\\${sign}`)}"`
  );
  return `{${pairs.join(",")}}`;
}
