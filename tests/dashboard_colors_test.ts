/** The colours of the page: read by weak eyes, and told apart by those who see fewer of them. */

import { assert, assertEquals } from "@std/assert";
import { ASSETS } from "../src/dashboard/page.ts";

type Rgb = readonly [number, number, number];

const css = ASSETS["/dashboard/style.css"]!.text;
const [light, dark] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) =>
  new Map(
    [...block!.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, hex]) => [name!, hex!]),
  )
);
const THEMES = { light: light!, dark: dark! };

/** WCAG 2.2: text, and what is needed to understand a picture. */
const TEXT_CONTRAST = 4.5;
const PICTURE_CONTRAST = 3;
const TEXTS = [
  ...["text/ground", "text/panel", "faint/ground", "faint/panel", "faint/bar", "accent/panel"],
  ...["on-accent/accent", "good/good-ground", "warn/warn-ground", "bad/bad-ground", "warn/panel"],
  ...["bad/panel", "panel/bad"],
];
/** Analyzers that most systems have, and lines of one chart. */
const FIRST = 4;
/** CIE76: about eight times what is just noticed. */
const APART = 18;
/** Machado, Oliveira and Fernandes 2009, of full severity; on linear RGB. */
const EYES: Record<string, readonly Rgb[]> = {
  all: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function linear(hex: string): Rgb {
  return [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
}

function contrast(a: string, b: string): number {
  const [low, high] = [a, b].map((hex) => {
    const [red, green, blue] = linear(hex);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  }).sort((x, y) => x - y) as [number, number];
  return high / low;
}

function times(rows: readonly Rgb[], [x, y, z]: Rgb): Rgb {
  return rows.map(([a, b, c]) => a * x + b * y + c * z) as unknown as Rgb;
}

/** CIE L*a*b* under D65, as these eyes see a colour. */
function lab(hex: string, eyes: readonly Rgb[]): Rgb {
  const seen = times(eyes, linear(hex)).map((part) => Math.min(Math.max(part, 0), 1));
  const xyz = times([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.072175],
    [0.0193339, 0.119192, 0.9503041],
  ], seen as unknown as Rgb);
  const [x, y, z] = [xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883].map((part) =>
    part > 216 / 24389 ? Math.cbrt(part) : (24389 / 27 * part + 16) / 116
  ) as [number, number, number];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function distance(a: string, b: string, eyes: readonly Rgb[]): number {
  const [first, second] = [lab(a, eyes), lab(b, eyes)];
  return Math.hypot(...first.map((part, i) => part - second[i]!));
}

Deno.test("dashboard's texts stand out from what is behind them, in both lights", () => {
  for (const [name, theme] of Object.entries(THEMES)) {
    const weak = TEXTS.map((pair) => {
      const [text, behind] = pair.split("/") as [string, string];
      return [pair, contrast(theme.get(text)!, theme.get(behind)!)] as const;
    }).filter(([, value]) => value < TEXT_CONTRAST);
    assertEquals(weak, [], name);
  }
});

Deno.test("dashboard's lines and bars stand out from the panel", () => {
  for (const [name, theme] of Object.entries(THEMES)) {
    for (let i = 1; i <= 8; i++) {
      const value = contrast(theme.get(`series-${i}`)!, theme.get("panel")!);
      assert(value >= PICTURE_CONTRAST, `${name} series-${i}: ${value.toFixed(2)}`);
    }
  }
});

Deno.test("dashboard's first colours are told apart by all eyes", () => {
  for (const [name, theme] of Object.entries(THEMES)) {
    for (const [kind, eyes] of Object.entries(EYES)) {
      for (let i = 1; i <= FIRST; i++) {
        for (let j = i + 1; j <= FIRST; j++) {
          const value = distance(theme.get(`series-${i}`)!, theme.get(`series-${j}`)!, eyes);
          assert(value >= APART, `${name}, ${kind}, ${i} and ${j}: ${value.toFixed(1)}`);
        }
      }
    }
  }
});
