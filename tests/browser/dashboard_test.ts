/** The dashboard in a real browser, over a real system, and over streams that are made up. */

import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { makePacket } from "../support/agent.ts";
import { load, openPage, row, shareOf, startBrowser } from "../support/browser.ts";
import { eventually, startSystem } from "../support/system.ts";

const QUICK = ["--health-check-interval=500ms", "--ejection-time=2s", "--slow-start=1s"];

/** The data of one second, as the distributor would send it. */
function makeSnapshot(t: number, analyzer: Record<string, unknown> = {}) {
  const count = { packets: 1, messages: 1, bytes: 1 };
  const id = String(analyzer.id ?? "analyzer1");
  return {
    boot: "b",
    unready: null,
    warnings: [],
    point: {
      n: t,
      t,
      accepted: 100 + t % 7,
      delivered: 99,
      packets: 10,
      refused: 0,
      queued: 0,
      p50: 1 + t % 3,
      p95: 5,
      p99: 9,
      by: { [id]: 99 },
    },
    state: {
      accepted: count,
      rejected: { packets: 0, by_code: {} },
      delivered: count,
      dead_lettered: { packets: 0, messages: 0 },
      queued: {
        ...count,
        packets: 0,
        messages: 0,
        in_memory: { packets: 0, bytes: 0 },
        capacity: 10,
        held_bytes: 0,
        capacity_bytes: 10,
        oldest_age_seconds: 0,
      },
      in_flight: { packets: 0, messages: 0 },
      retries: 0,
      dead_letters: 0,
      dead_letter_bytes: 0,
      dead_letter_max_bytes: 10,
      analyzers: [{
        url: "http://127.0.0.1:1",
        weight: 1,
        paused: false,
        state: "healthy",
        reason: "registered",
        state_seconds: t % 1000,
        eligible: true,
        status: { kind: "healthy", reason: "registered", seconds: t % 1000 },
        successes: 1,
        share: { target: 1, actual: 1, window_seconds: 60 },
        delivered: count,
        failures: { connect: 0, timeout: 0, broken: 0, http_5xx: 0, http_4xx: 0 },
        in_flight: 0,
        weight_factor: 1,
        ejections: 0,
        probes: { passed: 1, failed: 0 },
        latency_ms: { p50: 1, p95: 2, p99: 3 },
        ...analyzer,
        id,
      }],
      uptime_seconds: t,
      version: "0",
      durability: "memory",
    },
    latency_ms: { accept_p99: 1, queue_wait_p99: 1, loop_lag_max: 1 },
    memory_bytes: 1,
  };
}

const asEvent = (snapshot: unknown) => `event:snapshot\ndata:${JSON.stringify(snapshot)}\n\n`;

/** Answers the page's stream with events that are taken from a queue. */
async function feed(page: Page, next: () => string): Promise<void> {
  await page.route(
    "**/api/v1/events",
    (route) => route.fulfill({ contentType: "text/event-stream", body: next() }),
  );
}

Deno.test("dashboard shows four analyzers under load; one that dies turns, and the bars move", async () => {
  await using system = await startSystem({ weights: [4, 3, 2, 1], flags: QUICK });
  await using browser = await startBrowser();
  const traffic = load(system);
  const { page, faults } = await openPage(browser, { url: system.url });
  try {
    await eventually(async () => await page.locator("tbody tr").count() === 4, { name: "4 rows" });
    await eventually(async () => Math.abs(await shareOf(page, "analyzer1") - 0.4) < 0.03, {
      name: "the bar of analyzer1 is at its target",
    });
    await system.fleet.kill("analyzer2");
    await eventually(async () => {
      const state = await row(page, "analyzer2").locator(".badge").innerText();
      return state.includes("Out") && await shareOf(page, "analyzer2") < 0.01 &&
        Math.abs(await shareOf(page, "analyzer1") - 4 / 7) < 0.03;
    }, { name: "analyzer2 is out, and its share with the others", timeoutMs: 10_000 });
    assertEquals(await page.locator("#balance").innerText(), "✓ Balances exactly");
    assertEquals(await page.locator("canvas").count(), 3);
    assertEquals(faults, []);
  } finally {
    await traffic.stop();
  }
  await system.conservation();
});

Deno.test("dashboard changes a weight, pauses, resumes, registers and removes, each with words", async () => {
  await using system = await startSystem({ weights: [1, 1], flags: QUICK });
  await using browser = await startBrowser();
  const traffic = load(system);
  const { page, faults } = await openPage(browser, { url: system.url });
  const says = (text: string) =>
    eventually(() => page.locator(".toast", { hasText: text }).count(), {
      name: `it says ${text}`,
    });
  try {
    // By keyboard, as the mouse would: the field, a number, Enter.
    await row(page, "analyzer1").locator(".weight").fill("3");
    await page.keyboard.press("Enter");
    await says("analyzer1 now weighs 3");
    await eventually(async () => Math.abs(await shareOf(page, "analyzer1") - 0.75) < 0.03, {
      name: "the actual share follows",
    });
    await row(page, "analyzer1").locator(".weight").fill("-1");
    await page.keyboard.press("Enter");
    await says("weight must be");
    assertEquals(await row(page, "analyzer1").locator(".weight").inputValue(), "3");

    await page.getByRole("button", { name: "Pause analyzer2" }).click();
    await says("analyzer2 is paused");
    await page.getByRole("button", { name: "Resume analyzer2" }).click();
    await says("analyzer2 takes part again");

    const { url } = await system.fleet.add("analyzer3", 2);
    await page.getByRole("button", { name: "Register analyzer" }).click();
    await page.locator("#field-id").fill("no spaces");
    await page.locator("#field-url").fill(url);
    await page.locator("#field-weight").fill("4");
    await page.keyboard.press("Enter");
    await eventually(async () => (await page.locator(".fault").innerText()).includes("id must"), {
      name: "the refusal is shown",
    });
    await page.locator("#field-id").fill("analyzer3");
    await page.keyboard.press("Enter");
    await says("analyzer3 is registered");
    await eventually(async () => Math.abs(await shareOf(page, "analyzer3") - 0.5) < 0.03, {
      name: "the newcomer has its share",
    });
    await page.getByRole("button", { name: "Remove analyzer3" }).click();
    await page.locator("dialog button.danger").click();
    await says("analyzer3 is removed");
    await eventually(async () => await page.locator("tbody tr").count() === 2, { name: "2 rows" });
    assertEquals(faults, []);
  } finally {
    await traffic.stop();
  }
  await system.conservation();
});

Deno.test("dashboard replays dead letters", async () => {
  await using system = await startSystem({
    weights: [1],
    flags: ["--max-retries=0"],
    analyzers: { faults: { errorRate: 1, errorCode: 400 } },
  });
  await using browser = await startBrowser();
  await system.agent.sendAll([makePacket("poison-1"), makePacket("poison-2")]);
  await eventually(async () => (await system.metrics()).dead_letters === 2, { name: "2 are dead" });
  const { page, faults } = await openPage(browser, { url: system.url });
  await page.getByRole("button", { name: "Replay dead letters" }).click();
  await page.locator("dialog button.primary").click();
  await eventually(
    () => page.locator(".toast", { hasText: "2 packets are queued again" }).count(),
    {
      name: "it says so",
    },
  );
  assertEquals(faults, []);
  await system.conservation();
});

Deno.test("dashboard shows hostile ids and reasons as text", async () => {
  await using system = await startSystem();
  await using browser = await startBrowser();
  const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'\u202e</td>`;
  let t = 1_700_000_000;
  const { page, faults } = await openPage(browser, {
    url: system.url,
    before: (page) =>
      feed(
        page,
        () =>
          asEvent(
            makeSnapshot(t++, {
              id: hostile,
              url: `javascript:${hostile}`,
              status: { kind: "ejected", reason: hostile, seconds: 1 },
            }),
          ),
      ),
  });
  await eventually(() => page.locator("tbody tr").count(), { name: "a row" });
  assertEquals(await page.locator(".id").textContent(), hostile);
  assertEquals(await page.locator(".why").textContent(), hostile);
  assertEquals(await page.locator("tbody img, tbody script, tbody a").count(), 0);
  await page.getByRole("button", { name: "Remove" }).click();
  assert((await page.locator("dialog h2").textContent())!.includes("<img"));
  assert(
    (await page.locator(".legend .name").allTextContents()).some((text) => text.includes("…")),
  );
  assertEquals(faults, []);
});

Deno.test("dashboard keeps its memory over 30 minutes", async () => {
  await using system = await startSystem();
  await using browser = await startBrowser();
  let t = 1_700_000_000;
  const minutes = (count: number) =>
    Array.from({ length: count * 60 }, () => asEvent(makeSnapshot(t++))).join("");
  const bodies = [minutes(6), ...Array.from({ length: 6 }, () => minutes(5))];
  const total = t;
  const { page, faults } = await openPage(browser, {
    url: system.url,
    before: (page) => feed(page, () => bodies.shift() ?? ""),
  });
  const session = await page.context().newCDPSession(page);
  const measure = async () => {
    await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    const value = (name: string) => metrics.find((metric) => metric.name === name)!.value;
    return { heap: value("JSHeapUsedSize"), nodes: value("Nodes") };
  };
  await session.send("Performance.enable");
  const isUp = (seconds: number) => async () =>
    (await page.locator("#uptime").innerText()) === `up ${describeAge(seconds)}`;
  await eventually(() => bodies.length <= 5, { name: "the first minutes are in" });
  const early = await measure();
  await eventually(isUp(total - 1), { name: "30 minutes are in", timeoutMs: 60_000 });
  const late = await measure();
  console.log(`heap ${early.heap} -> ${late.heap}, nodes ${early.nodes} -> ${late.nodes}`);
  assert(late.heap < early.heap + 2 * 1024 * 1024, `${early.heap} to ${late.heap} bytes`);
  assert(late.nodes <= early.nodes + 50, `${early.nodes} to ${late.nodes} nodes`);
  assertEquals(faults, []);
});

function describeAge(seconds: number): string {
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

Deno.test("dashboard survives a restart of the distributor, with no analyzer twice", async () => {
  await using browser = await startBrowser();
  const first = await startSystem({ weights: [1, 2] });
  const { page, faults } = await openPage(browser, { url: first.url });
  const connection = page.locator("#connection");
  await eventually(async () => await page.locator("tbody tr").count() === 2, { name: "2 rows" });
  const { port } = new URL(first.url);
  await first.stop();
  await eventually(async () => await connection.getAttribute("data-state") === "lost", {
    name: "it says that the stream is lost",
  });
  await using second = await startSystem({
    weights: [1, 2, 3],
    flags: [`--http-addr=127.0.0.1:${port}`],
  });
  assertEquals(second.url, first.url);
  await eventually(
    async () =>
      await connection.getAttribute("data-state") === "live" &&
      await page.locator("tbody tr").count() === 3,
    { name: "it is live again, with the analyzers of now" },
  );
  const ids = await page.locator(".id").allTextContents();
  assertEquals(new Set(ids).size, 3);
  assertEquals(await page.locator("canvas").count(), 3);
  assertEquals(faults, []);
});

Deno.test("dashboard fits a phone, and is whole in the dark", async () => {
  await using system = await startSystem({ weights: [4, 3, 2, 1] });
  await using browser = await startBrowser();
  for (const width of [360, 820, 1366]) {
    const { page, faults } = await openPage(browser, { url: system.url, width, dark: true });
    await eventually(async () => await page.locator("tbody tr").count() === 4, { name: "4 rows" });
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    assertEquals(wide, width, "nothing sticks out");
    assertEquals(faults, []);
    await page.close();
  }
});

Deno.test("dashboard asks for the token that an order needs, and sends it from then on", async () => {
  await using system = await startSystem({ weights: [1] });
  await using browser = await startBrowser();
  const seen: (string | null)[] = [];
  const { page, faults } = await openPage(browser, {
    url: system.url,
    before: (page) =>
      // As a distributor with an admin token would answer.
      page.route("**/api/v1/analyzers/*", async (route) => {
        const token = await route.request().headerValue("authorization");
        seen.push(token);
        if (token === "Bearer secret") return await route.continue();
        await route.fulfill({ status: 401, json: { detail: "This needs the admin token" } });
      }),
  });
  await page.getByRole("button", { name: "Pause analyzer1" }).click();
  await page.locator("#field-token").fill("secret");
  await page.keyboard.press("Enter");
  await eventually(() => page.locator(".toast", { hasText: "analyzer1 is paused" }).count(), {
    name: "it is paused",
  });
  await page.getByRole("button", { name: "Resume analyzer1" }).click();
  await eventually(async () => !(await system.analyzer("analyzer1")).paused, {
    name: "it takes part again, with nothing asked",
  });
  assertEquals(seen, [null, "Bearer secret", "Bearer secret"]);
  assertEquals(faults, []);
});
