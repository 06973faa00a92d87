import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../src/outcome.ts";
import { seededRandom } from "../src/random.ts";
import { MAX_BACKOFF_MS, nextStep } from "../src/retry.ts";

type Failed = Exclude<Outcome, { kind: "delivered" }>;

const POLICY = { maxRetries: 5, intervalMs: 200 };
const BROKEN: Failed = { kind: "retriable", failure: "http_5xx", status: 500, detail: "" };
const REFUSED: Failed = { kind: "retriable", failure: "connect", detail: "" };
const LATE: Failed = { kind: "retriable", failure: "timeout", detail: "" };
const MALFORMED: Failed = { kind: "rejected", failure: "http_4xx", status: 400, detail: "" };

/** The next step at the highest back-off that chance can give. */
function next(
  outcome: Failed,
  {
    attempts = 0,
    rejections = 0,
    policy = POLICY,
    random = () => 1,
    isNew = true,
    isLast = false,
    isAlone = true,
  },
) {
  return nextStep(outcome, { attempts, rejections }, { policy, random, isNew, isLast, isAlone });
}

Deno.test("nextStep() backs off exponentially from the interval to 30 s", () => {
  const policy = { maxRetries: 20, intervalMs: 200 };
  const delays = Array.from({ length: 10 }, (_, attempts) => {
    const step = next(BROKEN, { attempts, policy });
    return step.kind === "retry" ? step.delayMs : NaN;
  });
  assertEquals(delays, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  assertEquals(MAX_BACKOFF_MS, 30_000);
});

Deno.test("nextStep() draws the delay from the whole range below", () => {
  const random = seededRandom(1);
  const delays = Array.from({ length: 1000 }, () => {
    const step = next(BROKEN, { attempts: 2, random });
    return step.kind === "retry" ? step.delayMs : NaN;
  });
  assert(delays.every((ms) => ms >= 0 && ms < 800));
  assert(Math.min(...delays) < 20 && Math.max(...delays) > 780);
});

Deno.test("nextStep() gives up after the retries of the policy", () => {
  for (const maxRetries of [0, 1, 5]) {
    let attempts = 0;
    let tries = 1;
    for (;; tries++) {
      const step = next(tries % 2 ? BROKEN : LATE, { attempts, policy: { ...POLICY, maxRetries } });
      if (step.kind === "give_up") {
        assertEquals(step.reason, "retries_exhausted");
        break;
      }
      attempts = step.attempts;
    }
    assertEquals(tries, maxRetries + 1);
  }
});

Deno.test("nextStep() counts no attempt for a refused connection, however many", () => {
  for (const attempts of [0, 3, 5]) {
    const step = next(REFUSED, { attempts });
    assert(step.kind === "retry" && step.attempts === attempts);
  }
  assertEquals(next(REFUSED, { policy: { ...POLICY, maxRetries: 0 } }).kind, "retry");
});

Deno.test("nextStep() tries a rejected packet once elsewhere, then gives it up", () => {
  assertEquals(next(MALFORMED, {}).kind, "retry");
  assertEquals(next(MALFORMED, { attempts: 1, rejections: 1 }), {
    kind: "give_up",
    reason: "rejected",
  });
  assertEquals(next(BROKEN, { attempts: 1, rejections: 1 }).kind, "retry");
});

Deno.test("nextStep() does not take two rejections by one analyzer for the word of two", () => {
  const again = { attempts: 1, rejections: 1, isNew: false };
  assertEquals(next(MALFORMED, again), { kind: "retry", delayMs: 400, attempts: 2 });
  assertEquals(next(MALFORMED, { ...again, attempts: 5 }), {
    kind: "give_up",
    reason: "retries_exhausted",
  });
});

Deno.test("nextStep() gives a rejected packet up at once where nobody else is left to ask", () => {
  for (const isNew of [true, false]) {
    assertEquals(next(MALFORMED, { isNew, isLast: true }), { kind: "give_up", reason: "rejected" });
  }
  assertEquals(next(BROKEN, { isLast: true }).kind, "retry");
});

Deno.test("nextStep() gives no packet up for the failure of a batch", () => {
  const policy = { ...POLICY, maxRetries: 0 };
  assertEquals(next(BROKEN, { policy, isAlone: false }).kind, "retry");
  assertEquals(next(BROKEN, { policy, attempts: 1 }).kind, "give_up");
});

Deno.test("nextStep() keeps to the back-off: a pause that was asked for is the analyzer's", () => {
  const asked = { ...BROKEN, retryAfterMs: 7000 } as Failed;
  assertEquals(next(asked, {}), { kind: "retry", delayMs: 200, attempts: 1 });
});
