import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../src/random.ts";
import { Rig } from "./chaos/rig.ts";
import type { Trial } from "./chaos/trial.ts";

const TRIAL: Trial = {
  seed: 1,
  random: seededRandom(1),
  isFull: false,
  durability: "memory",
};

Deno.test("rig.finish() finds nothing wrong where nothing is", async () => {
  await using rig = await Rig.start(TRIAL);
  await rig.driver.burst(200);
  const { acknowledged, lost, violations } = await rig.finish();
  assertEquals({ acknowledged, lost, violations }, { acknowledged: 200, lost: 0, violations: [] });
});

Deno.test("rig.finish() finds what a distributor has lost that was killed with a memory", async () => {
  await using rig = await Rig.start(TRIAL);
  for (const proxy of rig.proxies) await proxy.set({ kind: "refuse" });
  await rig.driver.burst(50);
  await rig.kill();
  await rig.launch();
  const { acknowledged, lost, violations } = await rig.finish();
  assertEquals([acknowledged, lost], [50, 50]);
  assertEquals(violations.map(({ law }) => law), ["I1"]);
});

Deno.test("rig.finish() finds repeats that nothing explains, and changed bytes", async () => {
  await using rig = await Rig.start(TRIAL, { weights: [1] });
  await rig.driver.burst(10);
  await rig.settles();
  const { url } = rig.witnesses[0]!;
  const response = await fetch(`${url}/analyze`, { method: "POST", body: '{"packet_id":"c1"}' });
  await response.body?.cancel();
  const { violations } = await rig.finish();
  assertEquals(violations.map(({ law }) => law), ["I2", "I3"]);
  assert(violations.some(({ detail }) => detail === "1 changed, such as c1"));
});
