import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../src/errors.ts";
import { armFailpoint, failpoint } from "../src/failpoint.ts";

const CHILD = `
import { armFailpoint, failpoint } from ${
  JSON.stringify(new URL("../src/failpoint.ts", import.meta.url).href)
};
armFailpoint(Deno.args[0]);
for (let i = 1; i <= 3; i++) {
  failpoint("other");
  failpoint("here");
  console.log("pass " + i);
}`;

/** Runs three passes; one that blocks is killed once it has said so. */
async function run(text: string): Promise<{ stdout: string; stderr: string }> {
  using file = await tempModule(CHILD);
  const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...profile, "-A", file.path, text],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdout = new Response(child.stdout).text();
  let stderr = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    stderr += chunk;
    if (stderr.includes("failpoint here\n") && !text.endsWith(":tell")) child.kill("SIGKILL");
  }
  await child.status;
  return { stdout: await stdout, stderr };
}

async function tempModule(code: string): Promise<{ path: string } & Disposable> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, code);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

Deno.test("failpoint() says so and blocks for ever at the pass that is armed", async () => {
  assertEquals(await run("here"), { stdout: "", stderr: "failpoint here\n" });
  assertEquals(await run("here:3"), { stdout: "pass 1\npass 2\n", stderr: "failpoint here\n" });
});

Deno.test("failpoint() with tell says so and goes on, and does nothing at other passes", async () => {
  const all = "pass 1\npass 2\npass 3\n";
  assertEquals(await run("here:2:tell"), { stdout: all, stderr: "failpoint here\n" });
  assertEquals(await run("nowhere"), { stdout: all, stderr: "" });
  assertEquals(await run("here:4"), { stdout: all, stderr: "" });
});

Deno.test("armFailpoint() takes no more than its form", () => {
  for (const text of ["A", "a:0", "a:x", "a:1:", "a:1:say", "a b", ":1"]) {
    const error = assertThrows(() => armFailpoint(text), UsageError);
    assertStringIncludes(error.message, "DISTRIBUTOR_FAILPOINT");
  }
  for (const text of [undefined, ""]) armFailpoint(text);
  failpoint("a");
});
