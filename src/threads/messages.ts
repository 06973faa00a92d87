/** What the main thread and an ingest thread say to each other. */

import { ApiError, type ErrorCode } from "../errors.ts";
import type { LogFields } from "../log.ts";
import type { Parcel } from "./parcel.ts";
import type { RelayedAnswer, RelayedRequest } from "./relay.ts";

/** All that an ingest thread has to know; its first message. */
export interface ThreadStart {
  /** From 1; the main thread is 0. */
  readonly thread: number;
  readonly address: { readonly hostname: string; readonly port: number };
  readonly commons: SharedArrayBuffer;
  readonly capacityBytes: number;
  readonly durability: "memory" | "disk";
  readonly maxBodyBytes: number;
}

export type ToThread =
  | { readonly kind: "start"; readonly start: ThreadStart }
  | { readonly kind: "answers"; readonly answers: Answers }
  | { readonly kind: "relayed"; readonly answer: RelayedAnswer }
  | { readonly kind: "close" };

export type ToMain =
  | { readonly kind: "listening" }
  | { readonly kind: "bundle"; readonly bundle: Bundle }
  | { readonly kind: "relay"; readonly request: RelayedRequest }
  | { readonly kind: "closed" };

/** What came up in a thread within one turn of its event loop. Each ticket gets one answer. */
export interface Bundle {
  readonly parcel?: Parcel;
  /** Requests that wait for room. */
  readonly waits: readonly RoomWait[];
  /** What was refused there, to be counted. */
  readonly rejected: readonly { readonly ticket: number; readonly code: ErrorCode }[];
  readonly logged: readonly Logged[];
  /** How long accepted packets took from their request's arrival to the 202, in milliseconds. */
  readonly accepted: readonly number[];
}

export interface RoomWait {
  readonly ticket: number;
  readonly bytes: number;
  readonly timeoutMs: number;
}

export interface Logged {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: LogFields;
}

export interface Answers {
  readonly done: readonly number[];
  readonly refused: readonly Refused[];
  /** What a refusal for want of room is due to now. */
  readonly fullReason: string;
}

export interface Refused {
  readonly ticket: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An error object of ours would arrive as another. */
export function describeRefusal(ticket: number, { code, message, headers }: ApiError): Refused {
  return { ticket, code, detail: message, headers };
}

export function toRefusal({ code, detail, headers }: Refused): ApiError {
  return new ApiError(code, detail, headers);
}
