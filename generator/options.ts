/** Options of the load generator: the table, and the settings that follow from a command line. */

import { UsageError } from "../src/errors.ts";
import { allowedValues, type OptionTable, type OptionValues, parseFlags } from "../src/flags.ts";

/** All flags; keys are camelCase, flags kebab-case. */
export const OPTIONS = {
  url: { kind: "url", default: "http://localhost:8080", help: "distributor to send to" },
  agent: {
    kind: "string",
    default: "agent-1",
    help: "agent_id of the packets",
    pattern: /^[!-~]{1,128}$/,
    allowed: "1 to 128 printable ASCII characters without spaces",
  },
  rate: {
    kind: "number",
    default: "10",
    help: "packets per second",
    min: 1e-3,
    max: 1e6,
    allowed: "a number of packets per second above 0, at most 1000000",
  },
  batch: {
    kind: "string",
    default: "10",
    help: "messages per packet: 10, or 1..1000 for a heavy-tailed (log-uniform) range",
    pattern: /^[1-9]\d{0,4}(\.\.[1-9]\d{0,4})?$/,
    allowed: "a whole number from 1 to 99999, or a range low..high of two such numbers",
  },
  duration: {
    kind: "duration",
    help: "how long to send; 0 means until interrupted " +
      "(default 60s; with --packets: until all are sent)",
  },
  packets: { kind: "integer", help: "stop after exactly this many packets", min: 1 },
  concurrency: {
    kind: "integer",
    default: "256",
    help: "requests under way at most; when reached, packets wait and count as late",
    min: 1,
    max: 10_000,
  },
  timeout: { kind: "duration", default: "10s", help: "time for one request", min: 1 },
  retry: {
    kind: "boolean",
    default: "false",
    help: "resend packets refused with 503 or 429 after their Retry-After until they are " +
      "accepted; each keeps its place among --concurrency meanwhile",
  },
  seed: {
    kind: "integer",
    help: "makes packet sizes and messages repeatable (default random, see the report)",
    min: 0,
    max: 2 ** 32 - 1,
  },
  json: { kind: "boolean", default: "false", help: "print the report as one JSON object" },
  quiet: { kind: "boolean", default: "false", help: "show no progress" },
  help: { kind: "boolean", default: "false", help: "print this help and exit" },
  version: { kind: "boolean", default: "false", help: "print the version and exit" },
} as const satisfies OptionTable;

const DEFAULT_DURATION_MS = 60_000;

/** Messages per packet, both bounds inclusive. */
export interface BatchRange {
  readonly min: number;
  readonly max: number;
}

/** What a command line asks for. */
export type Settings = Omit<OptionValues<typeof OPTIONS>, "batch" | "duration" | "timeout"> & {
  readonly batch: BatchRange;
  /** Infinity when there is no end in time. */
  readonly durationMs: number;
  readonly timeoutMs: number;
};

/**
 * Reads the command line.
 *
 * @throws {UsageError}
 */
export function parseSettings(args: readonly string[]): Settings {
  const { values, words } = parseFlags(args, OPTIONS);
  if (words.length > 0) {
    throw new UsageError(`Unexpected argument ${JSON.stringify(words[0])}: only flags are allowed`);
  }
  const { batch, duration, timeout, ...rest } = values;
  const durationMs = duration ?? (rest.packets === undefined ? DEFAULT_DURATION_MS : 0);
  return {
    ...rest,
    batch: parseBatch(batch),
    durationMs: durationMs === 0 ? Infinity : durationMs,
    timeoutMs: timeout,
  };
}

function parseBatch(text: string): BatchRange {
  const [min, max] = text.split("..").map(Number) as [number, number?];
  if (max !== undefined && max < min) {
    throw new UsageError(
      `Invalid value ${JSON.stringify(text)} for flag --batch: allowed is ` +
        `${allowedValues(OPTIONS.batch)}, the lower first`,
    );
  }
  return { min, max: max ?? min };
}
