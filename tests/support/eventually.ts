/** Waits for a fact by asking for it, with a deadline that names what never came true. */

export interface EventuallyOptions {
  /** What is waited for, as it reads in the error. */
  readonly name: string;
  /** @default 10000 */
  readonly timeoutMs?: number;
  /** @default 20 */
  readonly everyMs?: number;
}

/**
 * Asks until the answer is truthy and returns it; an answer that throws counts as no.
 *
 * @throws {Error} after the deadline, with the last answer or fault
 */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  { name, timeoutMs = 10_000, everyMs = 20 }: EventuallyOptions,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  let last = "";
  do {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = `last answer ${JSON.stringify(answer)}`;
    } catch (error) {
      last = `last fault ${(error as Error).message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  } while (performance.now() < deadlineMs);
  throw new Error(`Not within ${timeoutMs} ms: ${name} (${last})`);
}
