/** The page as it is served: its weight, its policy, its caching. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ASSETS, CONTENT_SECURITY_POLICY } from "../../src/dashboard/page.ts";
import { sendRaw } from "../support/raw_http.ts";
import { eventually, startSystem } from "../support/system.ts";

/** As sent to every browser, which is with gzip. */
const MOST_BYTES = 64 * 1024;

/** What an answer's body has on the wire; fetch would inflate it and not tell. */
async function sizeOf(url: string, { path, encoding }: { path: string; encoding: string }) {
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: ${encoding}\r\n` +
    "Connection: close\r\n\r\n";
  const { status, text } = await sendRaw(url, request);
  assertEquals(status, 200, path);
  return Number(/^content-length: (\d+)\r$/im.exec(text)![1]);
}

Deno.test("GET / and all that it loads is less than 64 KiB as sent", async () => {
  await using system = await startSystem();
  let plain = 0;
  let sent = 0;
  for (const path of Object.keys(ASSETS)) {
    plain += await sizeOf(system.url, { path, encoding: "identity" });
    sent += await sizeOf(system.url, { path, encoding: "gzip, deflate, br" });
  }
  console.log(`the page: ${plain} bytes, ${sent} as sent with gzip`);
  assert(sent < MOST_BYTES, `${sent} bytes`);
});

Deno.test("GET / has a policy that lets in nothing but its own files", async () => {
  await using system = await startSystem();
  for (const path of Object.keys(ASSETS)) {
    const { headers, body } = await fetch(system.url + path);
    assertEquals(headers.get("content-security-policy"), CONTENT_SECURITY_POLICY, path);
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    await body?.cancel();
  }
  assert(!CONTENT_SECURITY_POLICY.includes("unsafe"));
  assertStringIncludes(CONTENT_SECURITY_POLICY, "default-src 'none'");
});

Deno.test("the page has no inline script, style or handler, and nothing from elsewhere", () => {
  const html = ASSETS["/"]!.text;
  assert(!/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i.test(html));
  for (const [path, { text }] of Object.entries(ASSETS)) {
    if (path.includes("uplot") || path.endsWith(".svg")) continue;
    assert(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/.test(text), path);
    const addresses = [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([address]) => address);
    assertEquals(addresses.filter((address) => address !== "http://localhost"), [], path);
  }
});

Deno.test("GET / answers 304 to whoever has it already", async () => {
  await using system = await startSystem();
  const first = await fetch(system.url);
  await first.body?.cancel();
  const again = await fetch(system.url, {
    headers: { "if-none-match": first.headers.get("etag")! },
  });
  assertEquals([again.status, await again.text()], [304, ""]);
});

Deno.test("GET /api/v1/events counts as a viewer while it is read; HEAD never does", async () => {
  await using system = await startSystem();
  const viewers = async () =>
    Number(
      /^distributor_viewers (\d+)$/m.exec(await (await fetch(`${system.url}/metrics`)).text())![1],
    );
  const head = await fetch(`${system.url}/api/v1/events`, { method: "HEAD" });
  assertEquals([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  assertEquals(await viewers(), 0);
  const { body } = await fetch(`${system.url}/api/v1/events`);
  assertEquals(await viewers(), 1);
  await body!.cancel();
  await eventually(async () => await viewers() === 0, { name: "it has left" });
});
