/**
 * Reads on and forgets the body of a request that was refused before its end.
 *
 * The server closes a connection whose body nobody has read, and a client that is still sending
 * then often sees a reset in the answer's place. So what comes is read for a while, as proxies do
 * that linger before they close (RFC 9112, section 9.6).
 */

import type { Clock } from "./clock.ts";

/** After such a silence the rest is not waited for. */
const SILENCE_MS = 200;
/** Nor after this time, however much comes. */
const LIMIT_MS = 5_000;

/** Resolves when the body has ended or has had its time. Never rejects. */
export async function discardBody(request: Request, clock: Clock): Promise<void> {
  // A client that asks first sends nothing once it is refused; reading would tell it to go on.
  if (!request.bodyUsed && request.headers.has("expect")) return;
  const { body } = request;
  if (body === null || body.locked) return;
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  const cancelLimit = clock.after(LIMIT_MS, stop);
  let cancelSilence = clock.after(SILENCE_MS, stop);
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      // Frees the memory now: many bodies make much garbage before it is collected.
      read.value.buffer.transfer(0);
      cancelSilence();
      cancelSilence = clock.after(SILENCE_MS, stop);
    }
  } catch {
    // The client went away: there is nobody left to answer.
  } finally {
    cancelSilence();
    cancelLimit();
  }
}
