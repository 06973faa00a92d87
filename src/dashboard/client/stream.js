/**
 * Reads `/api/v1/events` and comes back to it whenever it ends.
 *
 * With fetch rather than EventSource, which cannot say who asks (Authorization).
 */

import { authorization } from "./actions.js";
import { parseEvents } from "./events.js";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5000;
/** A stream that says nothing for so long is dead, though nobody has closed it. */
const SILENCE_MS = 5000;

/** Watches for ever. `onEvent(name, data)`, `onState("live" | "lost")`. */
export async function watch({ onEvent, onState }) {
  let retryMs = FIRST_RETRY_MS;
  for (;;) {
    try {
      await readOnce((name, data) => {
        retryMs = FIRST_RETRY_MS;
        onState("live");
        onEvent(name, data);
      });
    } catch {
      // Refused, cut off or silent: all of it is told below, and tried again.
    }
    onState("lost");
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    retryMs = Math.min(retryMs * 1.5, MAX_RETRY_MS);
  }
}

async function readOnce(onEvent) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await fetch("/api/v1/events", {
      headers: authorization(),
      cache: "no-store",
      signal: silence.signal,
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      rest = parseEvents(rest + value, onEvent);
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}
