/** The dashboard in the hands of an operator: by keyboard, on a page that holds still, in any light. */

import { assert, assertEquals, assertLess } from "@std/assert";
import type { Page } from "playwright-core";
import { makePacket } from "../support/agent.ts";
import { load, openPage, row, shareOf, startBrowser } from "../support/browser.ts";
import { eventually, startSystem } from "../support/system.ts";

const QUICK = ["--health-check-interval=500ms", "--ejection-time=2s", "--slow-start=1s"];
/** What web.dev calls good is below 0.1. */
const MOST_SHIFT = 0.05;

const verdict = (page: Page) => page.locator("#verdict-text").innerText();

function says(page: Page, text: string, timeoutMs = 10_000): Promise<unknown> {
  return eventually(async () => (await verdict(page)).includes(text), {
    name: `the page says ${text}`,
    timeoutMs,
  });
}

/** What has the keyboard, as a screen reader would name it. */
function focused(page: Page): Promise<string> {
  return page.evaluate(`(() => {
    const { activeElement: it } = document;
    return it.getAttribute("aria-label") ?? it.textContent.trim() ?? it.tagName;
  })()`);
}

/** Tabs on until something of that name has the keyboard. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if (await focused(page) === name) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${name} cannot be reached by Tab: ${await focused(page)}`);
}

Deno.test("dashboard says in a line that all is well, and who is out and why", async () => {
  await using system = await startSystem({ weights: [4, 3, 2, 1], flags: QUICK });
  await using browser = await startBrowser();
  const traffic = load(system);
  const { page, faults } = await openPage(browser, { url: system.url });
  try {
    await says(page, "All 4 analyzers get their shares, and nothing waits");
    assertEquals(await page.title(), "Distributor");
    await system.fleet.kill("analyzer2");
    await says(page, "Out: analyzer2, ");
    assert((await page.title()).startsWith("▲ Out: analyzer2, "), await page.title());
  } finally {
    await traffic.stop();
  }
  for (const id of ["analyzer1", "analyzer3", "analyzer4"]) {
    await system.call("PATCH", `/api/v1/analyzers/${id}`, { paused: true });
  }
  await system.agent.sendAll([makePacket("waits")]);
  await says(page, "No analyzer is eligible");
  assert((await verdict(page)).includes("packets that wait: 1"));
  await page.locator("#verdict summary").click();
  assert((await page.locator("#verdict-list").innerText()).includes("Out: analyzer2"));
  // Paused since now, whatever it was before.
  assert(/^\d s$/.test(await row(page, "analyzer1").locator(".since").innerText()));
  assertEquals(faults, []);
});

Deno.test("dashboard holds still while it loads, and while an analyzer dies and comes back", async () => {
  await using system = await startSystem({ weights: [4, 3, 2, 1], flags: QUICK });
  await using browser = await startBrowser();
  const traffic = load(system);
  try {
    for (const width of [360, 820, 1366]) {
      const { page } = await openPage(browser, {
        url: system.url,
        width,
        before: (page) =>
          page.addInitScript(`
            window.shift = 0;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) window.shift += entry.value;
            }).observe({ type: "layout-shift", buffered: true });`),
      });
      await says(page, "analyzers get their shares");
      await system.fleet.kill("analyzer2");
      await says(page, "Out: analyzer2");
      await system.fleet.start("analyzer2");
      await says(page, "All 4 analyzers get their shares", 30_000);
      const shift = await page.evaluate("window.shift") as number;
      console.log(`layout shift at a width of ${width}: ${shift.toFixed(4)}`);
      assertLess(shift, MOST_SHIFT);
      await page.close();
    }
  } finally {
    await traffic.stop();
  }
  await system.conservation();
});

Deno.test("dashboard is worked by keyboard alone, which is never thrown back to the top", async () => {
  await using system = await startSystem({ weights: [1, 1, 1] });
  await using browser = await startBrowser();
  const { page, faults } = await openPage(browser, { url: system.url });
  await eventually(async () => await page.locator("tbody tr").count() === 3, { name: "3 rows" });
  await tabTo(page, "Weight of analyzer1");
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await eventually(async () => (await system.analyzer("analyzer1")).weight === 5, {
    name: "it weighs 5: a field is entered as a whole",
  });
  await tabTo(page, "Pause analyzer1");
  await page.keyboard.press("Space");
  await eventually(async () => await focused(page) === "Resume analyzer1", {
    name: "the button has turned under the finger",
  });
  await page.keyboard.press("Space");
  await eventually(async () => !(await system.analyzer("analyzer1")).paused, { name: "resumed" });
  await tabTo(page, "Remove analyzer2");
  await page.keyboard.press("Enter");
  await tabTo(page, "Remove");
  await page.keyboard.press("Enter");
  await eventually(async () => await focused(page) === "Remove analyzer3", {
    name: "the next row has the keyboard",
  });
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await eventually(async () => await focused(page) === "Remove analyzer3", {
    name: "it has it again after a dialog that was left",
  });
  await page.getByRole("button", { name: "Register analyzer" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("no spaces");
  await page.keyboard.press("Tab");
  await page.keyboard.type("http://127.0.0.1:9");
  await page.keyboard.press("Enter");
  await eventually(
    async () => await page.locator("#field-id").getAttribute("aria-invalid") === "true",
    { name: "the field at fault is marked" },
  );
  assertEquals(await page.evaluate("document.activeElement.id"), "field-id");
  assertEquals(faults, []);
});

Deno.test("dashboard is a table to those who have it read to them, at any width", async () => {
  await using system = await startSystem({ weights: [1, 1] });
  await using browser = await startBrowser();
  for (const width of [360, 1366]) {
    const { page } = await openPage(browser, { url: system.url, width });
    await eventually(async () => await page.locator("tbody tr").count() === 2, { name: "2 rows" });
    const table = page.getByRole("table", { name: "Analyzers" });
    assertEquals(await table.getByRole("columnheader").count(), 9);
    assertEquals(await table.getByRole("row").count(), 3);
    assertEquals(await table.getByRole("rowheader").count(), 2);
    assertEquals(await page.getByRole("figure", { name: /last five minutes/ }).count(), 3);
    await page.close();
  }
});

Deno.test("dashboard shows why packets are dead letters, and replays or deletes one of them", async () => {
  await using system = await startSystem({
    weights: [1],
    flags: ["--max-retries=0"],
    analyzers: { faults: { errorRate: 1, errorCode: 400 } },
  });
  await using browser = await startBrowser();
  await system.agent.sendAll(["<b>1</b>", "poison-2", "poison-3"].map((id) => makePacket(id)));
  await eventually(async () => (await system.metrics()).dead_letters === 3, { name: "3 are dead" });
  const { page, faults } = await openPage(browser, { url: system.url });
  await page.getByRole("button", { name: "Look at dead letters" }).click();
  await eventually(async () => await page.locator(".letters li").count() === 3, { name: "3 rows" });
  const first = page.locator(".letters li", { hasText: "<b>1</b>" });
  const text = await first.innerText();
  assert(text.includes("refused as a bad packet after 1 attempt"), text);
  assert(text.includes("analyzer1: "), text);
  await first.getByRole("button", { name: "Delete" }).click();
  await page.locator("dialog button.danger").click();
  await eventually(async () => await page.locator(".letters li").count() === 2, { name: "2 rows" });
  await system.fleet.get("analyzer1").faults.clear();
  await page.getByRole("button", { name: "Replay poison-2" }).click();
  await eventually(async () => await page.locator(".letters li").count() === 1, { name: "1 row" });
  await page.getByRole("button", { name: "Replay all" }).click();
  await page.locator("dialog button.primary", { hasText: "Replay" }).click();
  await eventually(async () => (await system.metrics()).delivered.packets === 2, {
    name: "two are delivered",
  });
  assertEquals(faults, []);
});

Deno.test("dashboard finds one of a hundred analyzers", async () => {
  await using system = await startSystem({ flags: ["--health-check-interval=1h"] });
  await using browser = await startBrowser();
  for (let i = 1; i <= 100; i++) {
    await system.register({ id: `prod-analyzer-${i}`, url: "http://127.0.0.1:9", weight: 101 - i });
  }
  await system.call("PATCH", "/api/v1/analyzers/prod-analyzer-77", { paused: true });
  const { page, faults } = await openPage(browser, { url: system.url });
  await eventually(async () => await page.locator("tbody tr").count() === 100, {
    name: "100 rows",
  });
  const ids = await page.locator("tbody .id").allInnerTexts();
  assertEquals([ids[1], ids[9]], ["prod-analyzer-2", "prod-analyzer-10"]);
  await page.locator("#filter").fill("paused");
  assertEquals(await page.locator("tbody tr:visible .id").allInnerTexts(), ["prod-analyzer-77"]);
  await page.locator("#filter").fill("-9");
  assertEquals(await page.locator("tbody tr:visible").count(), 11);
  assert(
    (await page.locator(".chart .unit").nth(1).innerText()).includes("the 8 with the most weight"),
  );
  assertEquals(faults, []);
});

Deno.test("dashboard goes on when the distributor's clock is set back", async () => {
  await using system = await startSystem({ weights: [1] });
  await using browser = await startBrowser();
  const traffic = load(system);
  let shift = 0;
  try {
    const { page, faults } = await openPage(browser, {
      url: system.url,
      before: (page) =>
        page.route("**/api/v1/events", async (route) => {
          const response = await fetch(`${system.url}/api/v1/events`);
          const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
          let text = "";
          while (!text.includes("event:snapshot")) text += (await reader.read()).value;
          await reader.cancel();
          const moved = text.replace(/"t":([\d.]+)/g, (_, t) => `"t":${Number(t) - shift}`);
          shift += 3600;
          await route.fulfill({ contentType: "text/event-stream", body: moved });
        }),
    });
    await eventually(() => shift >= 4 * 3600, { name: "an hour back, three times" });
    await eventually(async () => await shareOf(page, "analyzer1") === 1, { name: "a share" });
    assertEquals(faults, []);
  } finally {
    await traffic.stop();
  }
});
