/** A distributor whose log nobody reads: a stopped terminal, a log shipper that hangs. */

import { assert, assertEquals } from "@std/assert";
import { startDistributorProgram } from "../support/program.ts";

/** Reads the first line, and then nothing more for as long as the program lives. */
const READ_ONE_LINE =
  'exec "$@" 2> >(head -n 1 >&2; exec tail --pid=$$ -f /dev/null >/dev/null 2>&1)';
/** Far more lines than a pipe holds. */
const ORDERS = 1000;

Deno.test({
  name: "a log that nobody reads stops neither traffic, nor orders, nor the end",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { program, url } = await startDistributorProgram(["--health-check-interval=1h"], {
      wrap: ["bash", "-c", READ_ONE_LINE, "bash"],
    });
    await using _program = program;
    const path = "x".repeat(250);
    for (let i = 0; i < ORDERS; i++) {
      const analyzer = { id: `a${i}`, url: `http://127.0.0.1:9/${path}`, weight: 1 };
      assertEquals(await post(`${url}/api/v1/analyzers`, analyzer), 201, `order ${i}`);
    }
    assertEquals(await post(`${url}/api/v1/logs`, { log_messages: [{}] }), 202);
    program.signal("SIGTERM");
    const { code } = await program.exits();
    assertEquals(code, 0);
    assert(program.stderr.length === 1, "nobody has read more");
  },
});

async function post(url: string, body: unknown): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  await response.body?.cancel();
  return response.status;
}
