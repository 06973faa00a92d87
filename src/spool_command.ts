/**
 * `distributor spool check` and `distributor spool export`: a data folder, looked into offline.
 *
 * Both refuse while a distributor runs on the folder, and write nothing there.
 */

import { UsageError } from "./errors.ts";
import { blankLineBreaks } from "./packet.ts";
import { OfflineSpool } from "./queue/offline_spool.ts";

export interface SpoolCommandDoors {
  readonly folder: string;
  /** `export` writes dead letters too, after the packets. */
  readonly withDead: boolean;
  /** Takes output as it comes. */
  readonly write: (bytes: Uint8Array) => void;
  /** Takes one line for people. */
  readonly tell: (line: string) => void;
}

const NEWLINE = new Uint8Array([0x0a]);

/**
 * Runs one of the two; returns the exit code: 0, or 1 with findings.
 *
 * @param words what follows `spool` on the command line
 * @throws {UsageError}
 * @throws {StorageError} when the folder cannot be looked into
 */
export function runSpoolCommand(words: readonly string[], doors: SpoolCommandDoors): number {
  const [verb, extra] = words;
  if (extra !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(extra)}`);
  if (verb !== "check" && verb !== "export") {
    const given = verb === undefined ? "Missing word" : `Unknown word ${JSON.stringify(verb)}`;
    throw new UsageError(`${given} after spool: allowed are check and export`);
  }
  const spool = new OfflineSpool(doors.folder);
  try {
    return verb === "check" ? check(spool, doors) : exportAll(spool, doors);
  } finally {
    spool.close();
  }
}

function check(spool: OfflineSpool, { folder, write }: SpoolCommandDoors): number {
  const findings = spool.integrity();
  let groups = 0;
  const sound = { packets: 0, messages: 0, bytes: 0 };
  for (const { group, packets, lost } of spool.groups()) {
    groups++;
    if (lost) findings.push(`group ${group} is damaged, with ${lost.packets} packets`);
    for (const { messages, bytes } of packets) {
      sound.packets++;
      sound.messages += messages;
      sound.bytes += bytes.length;
    }
  }
  const dead = spool.dead.totals();
  const lines = [
    `folder: ${folder}`,
    `packets: ${sound.packets} in ${groups} groups, ${sound.messages} messages, ` +
    `${sound.bytes} bytes`,
    `dead letters: ${dead.packets}, ${dead.messages} messages, ${dead.bytes} bytes`,
    ...findings.map((finding) => `finding: ${finding}`),
    findings.length === 0 ? "clean" : `${findings.length} findings`,
  ];
  write(new TextEncoder().encode(`${lines.join("\n")}\n`));
  return findings.length === 0 ? 0 : 1;
}

function exportAll(
  spool: OfflineSpool,
  { withDead, write, tell }: SpoolCommandDoors,
): number {
  let damaged = 0;
  for (const { group, packets, lost } of spool.groups()) {
    if (lost) {
      damaged++;
      tell(`group ${group} is damaged: ${lost.packets} packets are left out`);
    }
    for (const packet of packets) writeLine(write, packet.bytes, packet.multiline);
  }
  if (withDead) {
    for (const { data, multiline } of spool.dead.all()) writeLine(write, data, multiline);
  }
  return damaged === 0 ? 0 : 1;
}

function writeLine(
  write: SpoolCommandDoors["write"],
  bytes: Uint8Array,
  multiline: boolean,
): void {
  if (multiline) blankLineBreaks(bytes);
  write(bytes);
  write(NEWLINE);
}
