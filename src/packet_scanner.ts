/**
 * Decides whether bytes are a log packet, without making objects of them.
 *
 * One pass over the bytes checks RFC 8259 JSON exactly as `JSON.parse` does, the depth, and the
 * shape of a packet. Always true: what this accepts, `JSON.parse` accepts with the same meaning.
 */

import { ApiError, type ErrorCode } from "./errors.ts";

/** Arrays and objects inside one another, at most; the packet itself is the first. */
export const MAX_DEPTH = 32;
/** Longest `packet_id`, in UTF-16 code units. */
export const MAX_PACKET_ID_LENGTH = 256;

/** What the distributor needs to know of a packet. */
export interface PacketShape {
  /** Members of `log_messages`, ≥ 1. */
  readonly messages: number;
  /** The agent's own id; absent, null and empty are all undefined. */
  readonly packetId: string | undefined;
  /** Offset of the brace that closes the packet. */
  readonly closeAt: number;
  /** Whether a raw line break stands between tokens. */
  readonly multiline: boolean;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const ZERO = 0x30;
const NINE = 0x39;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const LOG_MESSAGES = encoder.encode('"log_messages"');
const PACKET_ID = encoder.encode('"packet_id"');
const TRUE = encoder.encode("true");
const FALSE = encoder.encode("false");
const NULL = encoder.encode("null");

/**
 * Scans one packet.
 *
 * @throws {ApiError} INVALID_UTF8, INVALID_JSON, TOO_DEEP, or INVALID_PACKET naming the field
 */
export function scanPacket(bytes: Uint8Array): PacketShape {
  return new Scan(bytes).packet();
}

/** One pass over one body. */
class Scan {
  readonly #bytes: Uint8Array;
  #at = 0;
  #depth = 0;
  #nonAscii = false;
  #multiline = false;
  #messages = 0;
  #packetId: string | undefined;
  /** What is wrong with `log_messages`; a later member of that name replaces it. */
  #messagesFault: string | undefined = "log_messages is missing: send an array of objects";
  #idFault: string | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  packet(): PacketShape {
    this.#blanks();
    const isObject = this.#bytes[this.#at] === OPEN_BRACE;
    if (isObject) this.#members(true);
    else this.#value();
    const end = this.#at;
    this.#blanks();
    if (this.#at < this.#bytes.length) this.#fail("unexpected text after the packet");
    if (this.#nonAscii) this.#checkUtf8();
    if (!isObject) refuse("INVALID_PACKET", "The packet must be a JSON object with log_messages");
    const fault = this.#messagesFault ?? this.#idFault;
    if (fault !== undefined) refuse("INVALID_PACKET", fault);
    return {
      messages: this.#messages,
      packetId: this.#packetId,
      closeAt: end - 1,
      multiline: this.#multiline,
    };
  }

  #value(): void {
    const byte = this.#bytes[this.#at];
    if (byte === QUOTE) this.#string();
    else if (byte === OPEN_BRACE) this.#members(false);
    else if (byte === OPEN_BRACKET) this.#elements();
    else if (byte === 0x74) this.#word(TRUE);
    else if (byte === 0x66) this.#word(FALSE);
    else if (byte === 0x6e) this.#word(NULL);
    else this.#number();
  }

  /** An object. Of the packet itself, two members mean something. */
  #members(isPacket: boolean): void {
    this.#enter();
    if (this.#bytes[this.#at] === CLOSE_BRACE) return this.#leave();
    for (;;) {
      if (this.#bytes[this.#at] !== QUOTE) this.#fail("expected a member name in quotes");
      const name = this.#at;
      this.#string();
      const nameEnd = this.#at;
      this.#blanks();
      if (this.#bytes[this.#at++] !== COLON) this.#fail("expected a colon", this.#at - 1);
      this.#blanks();
      if (!isPacket) this.#value();
      else this.#packetMember(name, nameEnd);
      this.#blanks();
      const byte = this.#bytes[this.#at];
      if (byte === CLOSE_BRACE) return this.#leave();
      if (byte !== COMMA) this.#fail("expected a comma or a closing brace");
      this.#at++;
      this.#blanks();
    }
  }

  #packetMember(name: number, nameEnd: number): void {
    if (this.#isName(name, nameEnd, LOG_MESSAGES)) this.#logMessages();
    else if (this.#isName(name, nameEnd, PACKET_ID)) this.#packetIdValue();
    else this.#value();
  }

  #logMessages(): void {
    this.#messages = 0;
    if (this.#bytes[this.#at] !== OPEN_BRACKET) {
      this.#value();
      this.#messagesFault = "log_messages must be an array of objects";
      return;
    }
    this.#messagesFault = undefined;
    const count = this.#elements((index) => {
      this.#messagesFault ??= `log_messages[${index}] must be an object`;
    });
    this.#messages = count;
    if (count === 0) this.#messagesFault = "log_messages is empty: send at least one object";
  }

  #packetIdValue(): void {
    const start = this.#at;
    const isString = this.#bytes[start] === QUOTE;
    const isNull = this.#bytes[start] === 0x6e;
    this.#value();
    this.#packetId = undefined;
    this.#idFault = undefined;
    if (isNull) return;
    if (!isString) {
      this.#idFault = "packet_id must be a string";
      return;
    }
    const id = JSON.parse(decodeLossy(this.#bytes.subarray(start, this.#at))) as string;
    if (id.length > MAX_PACKET_ID_LENGTH) {
      this.#idFault = `packet_id is longer than ${MAX_PACKET_ID_LENGTH} characters`;
    } else if (id.includes("\0")) {
      // The database would cut the id short there: nobody could name its dead letter.
      this.#idFault = "packet_id contains the character U+0000";
    } else if (id !== "") this.#packetId = id;
  }

  /** An array; returns its length. `onScalar` hears of each element that is not an object. */
  #elements(onScalar?: (index: number) => void): number {
    this.#enter();
    if (this.#bytes[this.#at] === CLOSE_BRACKET) {
      this.#leave();
      return 0;
    }
    for (let count = 1;; count++) {
      if (onScalar && this.#bytes[this.#at] !== OPEN_BRACE) onScalar(count - 1);
      this.#value();
      this.#blanks();
      const byte = this.#bytes[this.#at];
      if (byte === CLOSE_BRACKET) {
        this.#leave();
        return count;
      }
      if (byte !== COMMA) this.#fail("expected a comma or a closing bracket");
      this.#at++;
      this.#blanks();
    }
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) {
      refuse("TOO_DEEP", `JSON is nested deeper than ${MAX_DEPTH} levels at byte ${this.#at}`);
    }
    this.#at++;
    this.#blanks();
  }

  #leave(): void {
    this.#depth--;
    this.#at++;
  }

  #blanks(): void {
    const bytes = this.#bytes;
    for (;; this.#at++) {
      const byte = bytes[this.#at];
      if (byte === 0x0a || byte === 0x0d) this.#multiline = true;
      else if (byte !== 0x20 && byte !== 0x09) return;
    }
  }

  #string(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    let seen = 0;
    for (;;) {
      const byte = bytes[at];
      if (byte === QUOTE) break;
      if (byte === undefined) this.#fail("the string does not end", at);
      if (byte < 0x20) this.#fail("control characters in strings must be escaped", at);
      seen |= byte;
      at++;
      if (byte === BACKSLASH) at = this.#escape(at);
    }
    if (seen >= 0x80) this.#nonAscii = true;
    this.#at = at + 1;
  }

  /** Checks what follows a backslash; returns the offset after it. */
  #escape(at: number): number {
    const byte = this.#bytes[at];
    if (byte === 0x75) {
      for (let i = 1; i <= 4; i++) {
        if (!isHexDigit(this.#bytes[at + i])) this.#fail("expected four hexadecimal digits", at);
      }
      return at + 5;
    }
    // " \ / b f n r t
    const known = byte === QUOTE || byte === BACKSLASH || byte === 0x2f || byte === 0x62 ||
      byte === 0x66 || byte === 0x6e || byte === 0x72 || byte === 0x74;
    if (!known) this.#fail("unknown escape in a string", at);
    return at + 1;
  }

  #number(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    if (bytes[this.#at] === 0x2d) this.#at++;
    if (bytes[this.#at] === ZERO) this.#at++;
    else if (!this.#digits()) this.#fail("expected a value", start);
    if (bytes[this.#at] === 0x2e) {
      this.#at++;
      if (!this.#digits()) this.#fail("expected digits after the decimal point");
    }
    if (bytes[this.#at] === 0x65 || bytes[this.#at] === 0x45) {
      this.#at++;
      if (bytes[this.#at] === 0x2b || bytes[this.#at] === 0x2d) this.#at++;
      if (!this.#digits()) this.#fail("expected digits in the exponent");
    }
  }

  #digits(): boolean {
    const start = this.#at;
    while (this.#bytes[this.#at]! >= ZERO && this.#bytes[this.#at]! <= NINE) this.#at++;
    return this.#at > start;
  }

  #word(word: Uint8Array): void {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at + i] !== word[i]) this.#fail("expected a value");
    }
    this.#at += word.length;
  }

  /** Whether the string at [start, end) means `name`, which is given with its quotes. */
  #isName(start: number, end: number, name: Uint8Array): boolean {
    const bytes = this.#bytes;
    if (end - start === name.length) {
      let i = 0;
      while (i < name.length && bytes[start + i] === name[i]) i++;
      return i === name.length;
    }
    if (!bytes.subarray(start, end).includes(BACKSLASH)) return false;
    const written = JSON.parse(decodeLossy(bytes.subarray(start, end)));
    return written === JSON.parse(decodeLossy(name));
  }

  /** Bytes above 0x7f can only stand in strings here, so one check of the whole is enough. */
  #checkUtf8(): void {
    try {
      decoder.decode(this.#bytes);
    } catch {
      refuse("INVALID_UTF8", "The body is not valid UTF-8");
    }
  }

  #fail(what: string, at = this.#at): never {
    const found = at < this.#bytes.length ? `byte ${at}` : "the end of the body";
    return refuse("INVALID_JSON", `Cannot read the body as JSON: ${what} at ${found}`);
  }
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  return (byte >= ZERO && byte <= NINE) || (letter >= 0x61 && letter <= 0x66);
}

const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bad UTF-8 is refused for the whole body at the end; until then it may be read anyhow. */
function decodeLossy(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes);
}

function refuse(code: ErrorCode, detail: string): never {
  throw new ApiError(code, detail);
}
