/**
 * Takes the pictures of README.md from the running demo: `deno task screenshots`.
 *
 * Runs the demo on free ports, looks at its dashboard in Chromium when an analyzer has been killed
 * and again when it is back, and writes docs/*.png.
 */

import type { Browser, Page } from "playwright-core";
import { openPage, startBrowser } from "../tests/support/browser.ts";
import { eventually } from "../tests/support/eventually.ts";

const FOLDER = new URL("../docs/", import.meta.url);
const STORY_TIMEOUT_MS = 90_000;
/** After a change, for the charts to show it. */
const SETTLE_MS = 6000;

interface View {
  readonly name: string;
  readonly width: number;
  readonly dark?: boolean;
}

async function look(browser: Browser, url: string, { name, width, dark = false }: View) {
  const { page } = await openPage(browser, { url, width, dark });
  await page.locator("tbody tr").first().waitFor();
  await page.evaluate("document.fonts.ready");
  await save(page, name);
  await page.close();
}

async function save(page: Page, name: string): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  await page.screenshot({ path: new URL(`${name}.png`, FOLDER).pathname });
}

/** Resolves when the page shows so many analyzers with a state. */
async function shows(page: Page, state: string, count: number): Promise<void> {
  await eventually(
    async () => await page.locator(`.badge[data-state="${state}"]`).count() === count,
    { name: `${count} analyzers are ${state}`, timeoutMs: STORY_TIMEOUT_MS, everyMs: 200 },
  );
  await page.waitForTimeout(SETTLE_MS);
}

/** The distributor's port, as the demo introduces it. */
async function readPort(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const found = Promise.withResolvers<string>();
  let text = "";
  void (async () => {
    for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const port = /^ +:(\d+) +──▶/m.exec(text)?.[1];
      if (port) found.resolve(port);
    }
    found.reject(new Error(`The demo did not start: ${text}`));
  })();
  return await found.promise;
}

/** One that has ended by itself must not hide why. */
function stop(demo: Deno.ChildProcess): void {
  try {
    demo.kill("SIGINT");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

async function main(): Promise<void> {
  const profile = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
  const demo = new Deno.Command(Deno.execPath(), {
    args: ["run", ...profile, "-A", "demo/main.ts", "--keep", "--free-ports", "--plain"],
    stdout: "piped",
  }).spawn();
  const browser = await startBrowser();
  try {
    const url = `http://127.0.0.1:${await readPort(demo.stdout)}/`;
    await eventually(async () => (await (await fetch(url)).text()) !== "", { name: "it answers" });
    const { page } = await openPage(browser, { url });
    await page.setViewportSize({ width: 1366, height: 900 });
    await shows(page, "healthy", 4);
    await shows(page, "ejected", 1);
    await save(page, "dashboard");
    await shows(page, "healthy", 4);
    await look(browser, url, { name: "dashboard-phone", width: 390 });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(SETTLE_MS);
    await save(page, "dashboard-dark");
  } finally {
    await browser.close();
    stop(demo);
    await demo.status;
  }
}

if (import.meta.main) await main();
