/** Asks Prometheus' own tool; the package `prometheus` of Debian and Ubuntu has it. */

import { assertEquals } from "@std/assert";

/** Runs promtool and fails with what it says unless it finds nothing. */
export async function promtool(args: readonly string[], input = ""): Promise<void> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("promtool", {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new Error("promtool is missing: install it with `apt-get install prometheus`", {
      cause: error,
    });
  }
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), write(child.stdin, input)]);
  const said = new TextDecoder().decode(stderr) +
    (code === 0 ? "" : new TextDecoder().decode(stdout));
  assertEquals(said.trim(), "", `promtool ${args.join(" ")}`);
  assertEquals(code, 0);
}

async function write(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}
