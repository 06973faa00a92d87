/**
 * Reads the body of `POST /analyze`: one packet as JSON, or a batch of one packet a line.
 *
 * Stricter than a seed analyzer, so that a distributor that breaks a packet is found out: a packet
 * without `log_messages` is bad.
 */

import type { LogPacket } from "../src/packet.ts";

/** A body that is not what it says it is. */
export class BadBody extends Error {
  override readonly name = "BadBody";
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** @throws {BadBody} when the bytes are not UTF-8 */
export function decodeBody(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new BadBody("Cannot read the body: it is not valid UTF-8");
  }
}

/** @throws {BadBody} when the text is not a packet; `where` names it in the error */
export function parsePacket(text: string, where = "the body"): LogPacket {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BadBody(`Cannot read ${where}: ${(error as Error).message}`);
  }
  const messages = value?.log_messages;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isObject)) {
    throw new BadBody(
      `Cannot read ${where}: "log_messages" is not an array of at least one object`,
    );
  }
  return value;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws {BadBody} naming the first line that is not a packet */
export function parseBatch(text: string): LogPacket[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) throw new BadBody("Cannot read the batch: it is empty");
  return lines.map((line, index) => parsePacket(line, `line ${index + 1} of the batch`));
}
