import { assertEquals } from "@std/assert";
import { FAILURE_CLASSES, isBusyStatus, outcomeOfStatus } from "../src/outcome.ts";

Deno.test("outcomeOfStatus() sorts every status", () => {
  const rejecting = [400, 413, 415, 422];
  for (let status = 100; status < 600; status++) {
    const { kind } = outcomeOfStatus(status, { latencyMs: 3 });
    const expected = status >= 200 && status < 300
      ? "delivered"
      : rejecting.includes(status)
      ? "rejected"
      : "retriable";
    assertEquals(kind, expected, `${status}`);
  }
});

Deno.test("outcomeOfStatus() tells class, status, latency and Retry-After where they belong", () => {
  const answer = (status: number) => outcomeOfStatus(status, { latencyMs: 3, retryAfterMs: 7 });
  assertEquals(answer(204), { kind: "delivered", status: 204, latencyMs: 3 });
  assertEquals(answer(422), {
    kind: "rejected",
    failure: "http_4xx",
    status: 422,
    detail: "HTTP 422",
  });
  const retriable = { kind: "retriable", retryAfterMs: 7 } as const;
  for (
    const [status, failure] of [[301, "http_4xx"], [404, "http_4xx"], [503, "http_5xx"]] as const
  ) {
    assertEquals(answer(status), { ...retriable, failure, status, detail: `HTTP ${status}` });
  }
  assertEquals("retryAfterMs" in outcomeOfStatus(503, { latencyMs: 3 }), false);
});

Deno.test("isBusyStatus() is true of what speaks of the moment", () => {
  const busy = Array.from({ length: 600 }, (_, status) => status).filter(isBusyStatus);
  assertEquals(busy, [408, 425, 429]);
  assertEquals(isBusyStatus(undefined), false);
});

Deno.test("FAILURE_CLASSES names each class once", () => {
  assertEquals([...FAILURE_CLASSES], ["connect", "timeout", "broken", "http_5xx", "http_4xx"]);
});
