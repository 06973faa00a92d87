/**
 * Fault knobs of the mock analyzer: their names and bounds, and what they decide.
 *
 * Pure: chance and elapsed time are handed in. One table serves the flags (`--error-rate 0.1`), the
 * JSON of `/faults` (`{"error-rate": 0.1}`) and the in-process API (`{ errorRate: 0.1 }`).
 */

import { UsageError } from "../src/errors.ts";
import {
  allowedValues,
  flagName,
  formatDuration,
  type Option,
  type OptionTable,
  type OptionValues,
  parseValue,
} from "../src/flags.ts";
import type { Random } from "../src/random.ts";

/** Every knob with its default, which is "off". */
export const FAULT_OPTIONS = {
  latency: {
    kind: "duration",
    default: "0",
    help: "fault: time added to each /analyze answer",
  },
  jitter: {
    kind: "duration",
    default: "0",
    help: "fault: further random time, uniform from 0 to this",
  },
  errorRate: {
    kind: "number",
    default: "0",
    min: 0,
    max: 1,
    help: "fault: part of the /analyze requests answered with error-code",
  },
  errorCode: {
    kind: "integer",
    default: "500",
    min: 400,
    max: 599,
    help: "fault: status of the errors of error-rate and reject-message",
  },
  hangRate: {
    kind: "number",
    default: "0",
    min: 0,
    max: 1,
    help: "fault: part of the /analyze and /health requests never answered, until it is 0 again",
  },
  refuse: {
    kind: "boolean",
    default: "false",
    help: "fault: close the port, so that connections are refused (needs --control-port)",
  },
  slowBody: {
    kind: "duration",
    default: "0",
    help: "fault: the body of an /analyze answer dribbles over this time",
  },
  flap: {
    kind: "duration",
    default: "0",
    help: "fault: up for this long, port closed for this long, repeating",
  },
  unhealthy: {
    kind: "boolean",
    default: "false",
    help: "fault: /health answers 503",
  },
  rejectMessage: {
    kind: "string",
    default: "",
    help: "fault: requests whose body contains this text get error-code; empty is off",
  },
  retryAfter: {
    kind: "integer",
    default: "-1",
    min: -1,
    max: 3600,
    help: "fault: seconds in the Retry-After of error answers; -1 sends none",
  },
} as const satisfies OptionTable;

/** Where every knob stands; durations in milliseconds. */
export type Knobs = OptionValues<typeof FAULT_OPTIONS>;

const KEYS = Object.keys(FAULT_OPTIONS) as (keyof Knobs)[];
const KEY_BY_NAME = new Map(KEYS.map((key) => [flagName(key), key]));

/** All knobs off. */
export const NO_FAULTS: Knobs = Object.freeze(
  Object.fromEntries(
    KEYS.map((key) => [key, parseValue(FAULT_OPTIONS[key], FAULT_OPTIONS[key].default, key)]),
  ),
) as Knobs;

/** Whether any knob is off its default. */
export function isFaulty(knobs: Knobs): boolean {
  return KEYS.some((key) => knobs[key] !== NO_FAULTS[key]);
}

/** Takes the knobs out of a program's settings. */
export function pickKnobs(settings: Knobs): Knobs {
  return Object.fromEntries(KEYS.map((key) => [key, settings[key]])) as Knobs;
}

/** A change of knobs that cannot be made, with what could have been. */
export class KnobError extends Error {
  override readonly name = "KnobError";
  readonly knob: string;
  readonly allowed: string;

  constructor(message: string, problem: { knob: string; allowed: string }) {
    super(message);
    this.knob = problem.knob;
    this.allowed = problem.allowed;
  }
}

/** The JSON type in which a knob is written. */
const JSON_TYPES: Partial<Record<Option["kind"], string>> = {
  duration: "string",
  integer: "number",
  number: "number",
  boolean: "boolean",
  string: "string",
};

function readKnob(name: string, value: unknown): [keyof Knobs, unknown] {
  const key = KEY_BY_NAME.get(name);
  if (key === undefined) {
    const allowed = [...KEY_BY_NAME.keys()].join(", ");
    throw new KnobError(`Unknown knob ${JSON.stringify(name)}: allowed are ${allowed}`, {
      knob: name,
      allowed,
    });
  }
  const option: Option = FAULT_OPTIONS[key];
  const typed = typeof value === JSON_TYPES[option.kind] ||
    (option.kind === "duration" && value === 0);
  const origin = `knob ${JSON.stringify(name)}`;
  const allowed = allowedValues(option);
  try {
    if (typed) return [key, parseValue(option, String(value), origin)];
  } catch (error) {
    if (error instanceof UsageError) throw new KnobError(error.message, { knob: name, allowed });
    throw error;
  }
  throw new KnobError(
    `Invalid value ${JSON.stringify(value)} for ${origin}: allowed is ${allowed}`,
    { knob: name, allowed },
  );
}

/**
 * Reads a change of knobs from JSON: an object of knob names, durations as `"50ms"` or `0`.
 *
 * @throws {KnobError} for the first unknown knob or bad value; nothing has been applied then
 */
export function readKnobs(json: unknown): Partial<Knobs> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new KnobError("Cannot read the knobs: the body is not a JSON object", {
      knob: "",
      allowed: `an object of ${[...KEY_BY_NAME.keys()].join(", ")}`,
    });
  }
  return Object.fromEntries(Object.entries(json).map(([name, value]) => readKnob(name, value)));
}

/** Writes knobs the way {@link readKnobs} reads them. */
export function writeKnobs(knobs: Knobs): Record<string, unknown> {
  return Object.fromEntries(KEYS.map((key) => {
    const value = knobs[key];
    const duration = FAULT_OPTIONS[key].kind === "duration";
    return [flagName(key), duration ? formatDuration(value as number) : value];
  }));
}

/** What befalls one /analyze request. */
export interface Fault {
  readonly kind: "none" | "hang" | "error";
  /** How long to wait before answering. */
  readonly delayMs: number;
}

/** Draws what befalls the next /analyze request. */
export function drawFault(knobs: Knobs, random: Random): Fault {
  if (drawHang(knobs, random)) return { kind: "hang", delayMs: 0 };
  const kind = knobs.errorRate > 0 && random() < knobs.errorRate ? "error" : "none";
  const jitterMs = knobs.jitter > 0 ? knobs.jitter * random() : 0;
  return { kind, delayMs: knobs.latency + jitterMs };
}

/** Draws whether the next request hangs. */
export function drawHang(knobs: Knobs, random: Random): boolean {
  return knobs.hangRate > 0 && random() < knobs.hangRate;
}

/** Says where in its cycle a flapping listener is, and how long it stays there. */
export function flapPhase(flapMs: number, elapsedMs: number): { up: boolean; remainingMs: number } {
  const turn = Math.floor(elapsedMs / flapMs);
  return { up: turn % 2 === 0, remainingMs: (turn + 1) * flapMs - elapsedMs };
}
