/**
 * Tells fast whether bytes are a log packet. AssemblyScript; compiled by `deno task wasm`.
 *
 * Says yes only where `packet_scanner.ts`, its twin, says yes, with the same result; what it is
 * not sure of it leaves to the twin, which also words the errors.
 */

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const OPEN_BRACE: u8 = 0x7b;
const CLOSE_BRACE: u8 = 0x7d;
const OPEN_BRACKET: u8 = 0x5b;
const CLOSE_BRACKET: u8 = 0x5d;

/** As in the twin. */
const MAX_DEPTH: i32 = 32;
/** Zeros behind the body: no token goes on into them, and 16 bytes can be read anywhere. */
const PADDING: usize = 32;

const START: usize = __heap_base;

/** Where the scan is. */
let at: usize = 0;
let nonAscii: i32 = 0;
let multiline: i32 = 0;
let idStart: usize = 0;
let idEnd: usize = 0;
let messages: i32 = 0;

/** Makes room for a body and returns where it goes. */
export function reserve(length: usize): usize {
  const missing = <isize>(START + length + PADDING) - <isize>(memory.size() << 16);
  if (missing > 0 && memory.grow(<i32>((missing + 0xffff) >> 16)) < 0) return 0;
  return START;
}

/** Offset of the quote that opens `packet_id`, or -1 when there is none, null or "". */
export function readIdStart(): i32 {
  return idStart == 0 ? -1 : <i32>(idStart - START);
}

/** Offset behind the quote that closes `packet_id`. */
export function readIdEnd(): i32 {
  return <i32>(idEnd - START);
}

/** Offset of the brace that closes the packet. */
export function readCloseAt(): i32 {
  return <i32>(at - 1 - START);
}

/** 1: bytes above 0x7f, whose UTF-8 must be checked. 2: raw line breaks between tokens. */
export function readFlags(): i32 {
  return nonAscii | (multiline << 1);
}

/** Scans the body that was put at the reserved place; the number of its messages, or 0: not sure. */
export function scan(length: usize): i32 {
  const end = START + length;
  memory.fill(end, 0, PADDING);
  at = START;
  nonAscii = 0;
  multiline = 0;
  idStart = 0;
  messages = 0;
  skipBlanks();
  if (load<u8>(at) != OPEN_BRACE || !packet()) return 0;
  const closed = at;
  skipBlanks();
  if (at != end) return 0;
  at = closed;
  return messages;
}

function packet(): bool {
  at++;
  skipBlanks();
  while (true) {
    const name = at;
    if (load<u8>(at) != QUOTE || !string()) return false;
    const length = at - name;
    skipBlanks();
    if (load<u8>(at) != COLON) return false;
    at++;
    skipBlanks();
    if (length == 14 && isLogMessages(name)) {
      if (!logMessages()) return false;
    } else if (length == 11 && isPacketId(name)) {
      if (!packetId()) return false;
    } else {
      // A name with an escape may mean one of the two.
      if (hasEscape(name, length)) return false;
      if (!value(1)) return false;
    }
    skipBlanks();
    const byte = load<u8>(at++);
    if (byte == CLOSE_BRACE) return true;
    if (byte != COMMA) return false;
    skipBlanks();
  }
}

/** `"log_messages"`: l o g _ m e s s, a g e s */
function isLogMessages(name: usize): bool {
  return load<u64>(name + 1) == 0x7373656d5f676f6c && load<u32>(name + 9) == 0x73656761;
}

/** `"packet_id"`: p a c k e t _ i, d */
function isPacketId(name: usize): bool {
  return load<u64>(name + 1) == 0x695f74656b636170 && load<u8>(name + 9) == 0x64;
}

function hasEscape(name: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) if (load<u8>(name + i) == BACKSLASH) return true;
  return false;
}

function logMessages(): bool {
  if (load<u8>(at) != OPEN_BRACKET) return false;
  at++;
  skipBlanks();
  let count: i32 = 0;
  while (true) {
    if (load<u8>(at) != OPEN_BRACE || !object(2)) return false;
    count++;
    skipBlanks();
    const byte = load<u8>(at++);
    if (byte == CLOSE_BRACKET) break;
    if (byte != COMMA) return false;
    skipBlanks();
  }
  messages = count;
  return true;
}

function packetId(): bool {
  const start = at;
  const byte = load<u8>(at);
  if (byte != QUOTE) {
    idStart = 0;
    return byte == 0x6e && value(1);
  }
  if (!string()) return false;
  // A long one may be too long: the twin counts its characters.
  if (at - start > 258) return false;
  idStart = at - start == 2 ? 0 : start;
  idEnd = at;
  return true;
}

function value(depth: i32): bool {
  const byte = load<u8>(at);
  if (byte == QUOTE) return string();
  if (byte == OPEN_BRACE) return object(depth);
  if (byte == OPEN_BRACKET) return array(depth);
  if (byte == 0x74) return word(0x65757274, 4);
  if (byte == 0x6e) return word(0x6c6c756e, 4);
  if (byte == 0x66) {
    at++;
    return word(0x65736c61, 4);
  }
  return number();
}

/** @param depth of what holds it */
function object(depth: i32): bool {
  if (depth >= MAX_DEPTH) return false;
  at++;
  skipBlanks();
  if (load<u8>(at) == CLOSE_BRACE) {
    at++;
    return true;
  }
  while (true) {
    if (load<u8>(at) != QUOTE || !string()) return false;
    if (load<u8>(at) != COLON) {
      skipBlanks();
      if (load<u8>(at) != COLON) return false;
    }
    at++;
    skipBlanks();
    if (!value(depth + 1)) return false;
    skipBlanks();
    const byte = load<u8>(at++);
    if (byte == CLOSE_BRACE) return true;
    if (byte != COMMA) return false;
    skipBlanks();
  }
}

function array(depth: i32): bool {
  if (depth >= MAX_DEPTH) return false;
  at++;
  skipBlanks();
  if (load<u8>(at) == CLOSE_BRACKET) {
    at++;
    return true;
  }
  while (true) {
    if (!value(depth + 1)) return false;
    skipBlanks();
    const byte = load<u8>(at++);
    if (byte == CLOSE_BRACKET) return true;
    if (byte != COMMA) return false;
    skipBlanks();
  }
}

@inline
function skipBlanks(): void {
  if (load<u8>(at) <= 0x20) skipMoreBlanks();
}

function skipMoreBlanks(): void {
  while (true) {
    const byte = load<u8>(at);
    if (byte == 0x0a || byte == 0x0d) multiline = 1;
    else if (byte != 0x20 && byte != 0x09) return;
    at++;
  }
}

/** 16 bytes at a time: stops at a quote, a backslash or a control character. */
function string(): bool {
  const quotes = i8x16.splat(QUOTE);
  const backslashes = i8x16.splat(BACKSLASH);
  const controls = i8x16.splat(0x20);
  let here = at + 1;
  while (true) {
    const bytes = v128.load(here);
    const stops = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(bytes, quotes), i8x16.eq(bytes, backslashes)),
        i8x16.lt_u(bytes, controls),
      ),
    );
    const high = i8x16.bitmask(bytes);
    if (stops == 0) {
      if (high != 0) nonAscii = 1;
      here += 16;
      continue;
    }
    const stop = ctz(stops);
    if ((high & ((1 << stop) - 1)) != 0) nonAscii = 1;
    here += stop;
    const byte = load<u8>(here);
    if (byte == QUOTE) {
      at = here + 1;
      return true;
    }
    if (byte != BACKSLASH) return false;
    here = escape(here + 1);
    if (here == 0) return false;
  }
}

/** Checks what follows a backslash; where it ends, or 0. */
function escape(here: usize): usize {
  const byte = load<u8>(here);
  if (byte == 0x75) {
    for (let i: usize = 1; i <= 4; i++) if (!isHexDigit(load<u8>(here + i))) return 0;
    return here + 5;
  }
  const known = byte == QUOTE || byte == BACKSLASH || byte == 0x2f || byte == 0x62 ||
    byte == 0x66 || byte == 0x6e || byte == 0x72 || byte == 0x74;
  return known ? here + 1 : 0;
}

function isHexDigit(byte: u8): bool {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}

function number(): bool {
  if (load<u8>(at) == 0x2d) at++;
  if (load<u8>(at) == 0x30) at++;
  else if (!digits()) return false;
  if (load<u8>(at) == 0x2e) {
    at++;
    if (!digits()) return false;
  }
  if ((load<u8>(at) | 0x20) == 0x65) {
    at++;
    if (load<u8>(at) == 0x2b || load<u8>(at) == 0x2d) at++;
    if (!digits()) return false;
  }
  return true;
}

function digits(): bool {
  const start = at;
  while (load<u8>(at) - 0x30 <= 9) at++;
  return at > start;
}

@inline
function word(letters: u32, length: usize): bool {
  if (load<u32>(at) != letters) return false;
  at += length;
  return true;
}
