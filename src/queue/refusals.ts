/** What agents and operators are told when the queue takes nothing. */

import { ApiError } from "../errors.ts";

const RETRY_LATER = { "retry-after": "1" };

/** To an agent it is all the same what is full. */
export function queueFull(reason: string): ApiError {
  const detail = `${reason[0]!.toUpperCase()}${reason.slice(1)}`;
  return new ApiError("QUEUE_FULL", `${detail}; send again after a moment`, RETRY_LATER);
}

export function storageFull(detail: string): ApiError {
  return new ApiError("STORAGE_FULL", detail, RETRY_LATER);
}

export function storageFailed(): ApiError {
  const detail = "The storage has failed: send again after a moment";
  return new ApiError("STORAGE_FAILED", detail, RETRY_LATER);
}

/** The answer to whatever comes once a drain has begun. */
export function draining(): ApiError {
  return new ApiError(
    "DRAINING",
    "The distributor is shutting down: send again after a moment",
    RETRY_LATER,
  );
}
