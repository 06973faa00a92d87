/** Tables, and how their numbers read. */

import type { Spread } from "./rounds.ts";

export type Row = readonly string[];

/** A table of which the first row is the head; as text, or as Markdown. */
export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

export function formatRatio({ median, min, max }: Spread): string {
  return `${median.toFixed(2)}× (${min.toFixed(2)}–${max.toFixed(2)})`;
}

export function formatMs({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`;
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function formatPercent(fraction: number): string {
  return `${(fraction * 100).toFixed(fraction > 0 && fraction < 0.01 ? 2 : 0)} %`;
}

export function formatMib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
