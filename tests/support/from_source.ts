/**
 * What cannot be tested with executables, or not with those of every runtime, and why.
 *
 * Each reason is printed where the tests run against executables.
 */

import { DIST } from "./program.ts";

const REASONS = {
  "module of its own": "a thread's module is compiled in, so another cannot take its place",
  "listener's end":
    "older runtimes tell that a listener has died only when its connections have ended",
  "telemetry": "some runtimes that executables are made of fail to start with OTEL_DENO",
} as const;

/** Whether a test is left out, for a reason that is told then. */
export function needsSource(reason: keyof typeof REASONS): boolean {
  if (DIST === undefined) return false;
  console.log(`left out with executables: ${REASONS[reason]}`);
  return true;
}
