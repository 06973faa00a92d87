import { openPage, startBrowser } from "./support/browser.ts";
import { startSystem } from "./support/system.ts";
import { makePacket } from "./support/agent.ts";
const system = await startSystem({
  weights: [4, 3, 2, 1],
  flags: ["--slow-start=5s", "--ejection-time=2s"],
});
const browser = await startBrowser();
let on = true, sent = 0;
const load = (async () => {
  while (on) {
    await system.agent.sendAll(
      Array.from({ length: 20 }, () => makePacket(`l-${sent++}`, 1 + sent % 9)),
    );
    await new Promise((r) => setTimeout(r, 20));
  }
})();
const shot = async (name: string, o: { width: number; dark?: boolean; height?: number }) => {
  const { page } = await openPage(browser, { url: system.url, ...o });
  await page.setViewportSize({ width: o.width, height: o.height ?? 860 });
  await page.waitForTimeout(2500);
  await page.screenshot({ path: `/tmp/shots/${name}.png` });
  await page.close();
};
await new Promise((r) => setTimeout(r, 12000));
await shot("ok", { width: 1366 });
await shot("phone", { width: 390 });
await system.fleet.kill("analyzer2");
await new Promise((r) => setTimeout(r, 12000));
await shot("out", { width: 1366 });
await shot("out-dark", { width: 1366, dark: true });
await shot("out-phone", { width: 390 });
await shot("out-820", { width: 820 });
on = false;
await load;
for (const id of ["analyzer1", "analyzer3", "analyzer4"]) await system.fleet.kill(id);
await system.agent.sendAll(Array.from({ length: 2000 }, () => makePacket(`l-${sent++}`, 5)));
await new Promise((r) => setTimeout(r, 6000));
await shot("none", { width: 1366 });
await browser.close();
console.log("done");
Deno.exit(0);
