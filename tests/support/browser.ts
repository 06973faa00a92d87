/** A real Chromium that looks at the page: Debian's `chromium`, driven by playwright-core. */

import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { makePacket } from "./agent.ts";
import type { System } from "./system.ts";

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts it; fails with what to do when there is none. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: findChromium(), args: FLAGS });
}

function findChromium(): string {
  const paths = [Deno.env.get("CHROMIUM"), ...PATHS].filter((path) => path !== undefined);
  const found = paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new Error(
    `There is no Chromium at ${
      paths.join(" or ")
    }: install it with \`apt-get install chromium\`, ` +
      "or name one in the environment variable CHROMIUM",
  );
}

/** What a page did that it should not. */
export interface Watch {
  readonly page: Page;
  readonly faults: string[];
}

/** Opens a page that notes dialogs, faults of scripts and reports of the policy. */
export async function openPage(
  browser: Browser,
  options: {
    url: string;
    width?: number;
    dark?: boolean;
    before?: (page: Page) => Promise<unknown>;
  },
): Promise<Watch> {
  const { url, width = 1366, dark = false, before } = options;
  const page = await browser.newPage({
    viewport: { width, height: 820 },
    colorScheme: dark ? "dark" : "light",
  });
  const faults: string[] = [];
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("pageerror", (error) => faults.push(`fault: ${error.message}`));
  page.on("console", (message) => {
    if (/Content.Security.Policy|TrustedHTML|Refused to/i.test(message.text())) {
      faults.push(`policy: ${message.text()}`);
    }
  });
  await page.addInitScript(
    `addEventListener("securitypolicyviolation", (e) => console.log("Content Security Policy: " + e.violatedDirective));`,
  );
  await before?.(page);
  await page.goto(url);
  return { page, faults };
}

/** The row of an analyzer. */
export function row(page: Page, id: string): Locator {
  return page.locator("tr", { has: page.locator(`[title="${id}"]`) });
}

/** The share that a row shows, between 0 and 1. */
export async function shareOf(page: Page, id: string): Promise<number> {
  return parseFloat(await row(page, id).locator(".share b").innerText()) / 100;
}

/** Sends packets until it is told to stop. */
export function load(system: System): { stop: () => Promise<void> } {
  let isOn = true;
  let sent = 0;
  const done = (async () => {
    while (isOn) {
      const some = Array.from({ length: 20 }, () => makePacket(`load-${sent++}`, 5));
      await system.agent.sendAll(some);
    }
  })();
  return {
    stop: async () => {
      isOn = false;
      await done;
    },
  };
}
