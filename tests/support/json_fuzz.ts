/**
 * Random packets for the scanner: well-formed ones written in every way that JSON allows, and the
 * same with a few faults. Everything follows from the seed of the random numbers handed in.
 */

import type { Random } from "../../src/random.ts";

const encoder = new TextEncoder();

const BLANKS = ["", "", "", "", " ", "\n", "\t", "\r\n", "  "];
const SCALARS = [
  ..."0 -0 1 7 -12 3.25 1e5 1E-7 -0.0e+0 12345678901234567890 1e400 true false null".split(" "),
  ...['""', '"a"', '"\\u00e9\\n"', '"é😀"', '"\\ud800"', '"\\"{}[]:,"', '"//\\/"', '"\u2028"'],
];
const NAMES = [
  "agent_id",
  "sent_at",
  "metadata",
  "x",
  "",
  "log_message",
  "packet_ids",
  "__proto__",
];
const LOG_MESSAGES = ["log_messages", "log_messages", "log_messages", "log\\u005fmessages"];
const PACKET_ID = ["packet_id", "packet_id", "packet_id", "p\\u0061cket_id", "packet\\u005Fid"];
const IDS = [
  ...['"a-1"', '"ü-😀"', '""', "null", '"\\ud83d\\ude00"', '"\\ud800"', '"a\\nb"'],
  ...["7", "true", "[]", "{}", '["a"]', `"${"i".repeat(256)}"`, `"${"i".repeat(257)}"`],
  ...['"a\\u0000b"', `"${"\\u00e9".repeat(256)}"`, `"${"😀".repeat(129)}"`],
];
/** What byte-level faults put in: tokens, near-tokens, bad numbers, bad strings, bad UTF-8. */
const PIECES: readonly Uint8Array[] = [
  ...'{ } [ ] , : " \\ {} [] - . e + 0 00 01 1. .5 1e 1e+ -  tru nul NaN Infinity'.split(" "),
  ...[
    "\\u12",
    "\\u12g4",
    "\\x41",
    "\\",
    "'",
    "/*x*/",
    "//",
    "\0",
    "\x1f",
    "\x7f",
    "\ufeff",
    "\u00a0",
  ],
  ...[
    "\f",
    "\v",
    "\u2028",
    "null",
    "true",
    '"log_messages":',
    '"packet_id":',
    ',"log_messages":[{}]',
  ],
].map((text) => encoder.encode(text)).concat(
  [[0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0xe2, 0x82]]
    .map((bytes) => new Uint8Array(bytes)),
);

/** Makes one body: a packet, a packet with a wrong shape, or something with a few faults. */
export function fuzzBody(random: Random): Uint8Array {
  let bytes: Uint8Array = encoder.encode(new Writer(random).body());
  if (random() < 0.5) return bytes;
  for (let faults = 1 + Math.floor(random() * 3); faults > 0; faults--) {
    bytes = spoil(bytes, random);
  }
  return bytes;
}

class Writer {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  body(): string {
    const blank = () => this.#one(BLANKS);
    const packet = this.#chance(0.03) ? this.#value(0) : this.#packet();
    return blank() + packet + blank();
  }

  #packet(): string {
    const members: string[] = [];
    if (this.#chance(0.97)) members.push(this.#member(LOG_MESSAGES, this.#messages()));
    if (this.#chance(0.1)) members.push(this.#member(LOG_MESSAGES, this.#messages()));
    if (this.#chance(0.5)) members.push(this.#member(PACKET_ID, this.#id()));
    if (this.#chance(0.1)) members.push(this.#member(PACKET_ID, this.#id()));
    for (let i = this.#below(4); i > 0; i--) members.push(this.#member(NAMES, this.#value(1)));
    members.sort(() => this.#random() - 0.5);
    return this.#list("{", members, "}");
  }

  #id(): string {
    return this.#chance(0.6) ? '"id-1"' : this.#one(IDS);
  }

  #messages(): string {
    if (this.#chance(0.05)) return this.#value(1);
    const count = this.#chance(0.05) ? 0 : 1 + this.#below(4);
    const messages = Array.from({ length: count }, () => {
      return this.#chance(0.02) ? this.#value(2) : this.#object(2);
    });
    return this.#list("[", messages, "]");
  }

  #value(depth: number): string {
    if (this.#chance(0.005)) return this.#tower(depth);
    if (depth > 4 || this.#chance(0.7)) return this.#one(SCALARS);
    return this.#chance(0.5) ? this.#object(depth + 1) : this.#array(depth + 1);
  }

  #object(depth: number): string {
    const members = Array.from({ length: this.#below(4) }, () => {
      const names = this.#chance(0.1) ? [...LOG_MESSAGES, ...PACKET_ID] : NAMES;
      return this.#member(names, this.#value(depth));
    });
    return this.#list("{", members, "}");
  }

  #array(depth: number): string {
    return this.#list("[", Array.from({ length: this.#below(4) }, () => this.#value(depth)), "]");
  }

  /** Arrays and objects inside one another, about as deep as is allowed. */
  #tower(depth: number): string {
    const height = 32 - depth - 3 + this.#below(6);
    const isArray = Array.from({ length: height }, () => this.#chance(0.5));
    const open = isArray.map((array) => array ? "[" : '{"t":').join("");
    return `${open}0${isArray.reverse().map((array) => array ? "]" : "}").join("")}`;
  }

  #member(names: readonly string[], value: string): string {
    return `"${this.#one(names)}"${this.#one(BLANKS)}:${this.#one(BLANKS)}${value}`;
  }

  #list(open: string, items: string[], close: string): string {
    const spaced = items.map((item) => this.#one(BLANKS) + item + this.#one(BLANKS));
    return open + (spaced.length > 0 ? spaced.join(",") : this.#one(BLANKS)) + close;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }

  #one<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!;
  }
}

/** Puts one fault into a body; by chance it may stay well-formed. */
function spoil(bytes: Uint8Array, random: Random): Uint8Array {
  const at = Math.floor(random() * (bytes.length + 1));
  const to = Math.min(bytes.length, at + 1 + Math.floor(random() ** 3 * 20));
  switch (Math.floor(random() * 6)) {
    case 0: // cut off
      return bytes.slice(0, at);
    case 1: // leave out
      return join(bytes.subarray(0, at), bytes.subarray(to));
    case 2: // say twice
      return join(bytes.subarray(0, to), bytes.subarray(at));
    case 3: { // flip bits
      const flipped = bytes.slice();
      if (at < bytes.length) flipped[at]! ^= 1 + Math.floor(random() * 255);
      return flipped;
    }
    default: { // put in, or in place of something
      const piece = PIECES[Math.floor(random() * PIECES.length)]!;
      return join(bytes.subarray(0, at), piece, bytes.subarray(random() < 0.5 ? at : to));
    }
  }
}

function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** What the contract says of a body, by way of the platform's own decoder and parser. */
export type Expectation =
  | { readonly status: 400 | 422 }
  | { readonly status: 202; readonly messages: number; readonly packetId: string | undefined };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Judges a body without the scanner. */
export function expectOf(bytes: Uint8Array): Expectation {
  let text: string;
  let value: unknown;
  try {
    text = decoder.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return { status: 400 };
  }
  if (depthOf(text) > 32) return { status: 400 };
  if (!isObject(value)) return { status: 422 };
  const { log_messages: messages, packet_id: id } = value;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isObject)) {
    return { status: 422 };
  }
  const isAbsent = id === undefined || id === null || id === "";
  if (!isAbsent && (typeof id !== "string" || id.length > 256 || id.includes("\0"))) {
    return { status: 422 };
  }
  return { status: 202, messages: messages.length, packetId: isAbsent ? undefined : id };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Of text that is JSON; a parsed value no longer shows what a later duplicate has replaced. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [sign] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (sign === "[" || sign === "{") deepest = Math.max(deepest, ++depth);
    else if (sign === "]" || sign === "}") depth--;
  }
  return deepest;
}
