import { assertEquals } from "@std/assert";
import { systemClock } from "../src/clock.ts";
import { Server } from "../src/server.ts";
import { quietLog } from "./support/quiet_log.ts";

Deno.test("server answers 500 for a handler that throws, and logs why", async () => {
  const faults: unknown[] = [];
  const log = quietLog({ error: (event, fields) => void faults.push([event, fields?.error]) });
  const server = new Server((request) => {
    const error = new Error(new URL(request.url).pathname);
    if (request.url.endsWith("/late")) return Promise.reject(error);
    throw error;
  }, { address: { hostname: "127.0.0.1", port: 0 }, clock: systemClock, log });
  for (const path of ["/now", "/late"]) {
    const response = await fetch(server.url + path);
    const { code, detail } = await response.json();
    assertEquals([response.status, code], [500, "INTERNAL"]);
    assertEquals(detail.includes(path), false, "nothing of what went wrong");
    assertEquals(response.headers.get("content-type"), "application/problem+json");
  }
  assertEquals(faults, [
    ["request failed", "Error: /now"],
    ["request failed", "Error: /late"],
  ]);
  await server.close();
});
