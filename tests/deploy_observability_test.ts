/** What is in deploy/prometheus and deploy/grafana: in the eyes of promtool, and of our metrics. */

import { assert, assertEquals } from "@std/assert";
import { promtool } from "./support/promtool.ts";
import { startSystem } from "./support/system.ts";

const DEPLOY = new URL("../deploy/", import.meta.url);
const pathOf = (name: string) => new URL(name, DEPLOY).pathname;

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(
  Deno.readTextFileSync(new URL("grafana/dashboards/distributor.json", DEPLOY)),
);
const panels: Panel[] = dashboard.panels;
const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

Deno.test("the alert rules and the scrape config pass promtool, and their own tests", async () => {
  await promtool(["check", "rules", pathOf("prometheus/rules.yml")]);
  await promtool(["test", "rules", pathOf("prometheus/rules_test.yml")]);
  await promtool(["check", "config", pathOf("prometheus/prometheus.yml")]);
});

Deno.test("the dashboard of Grafana asks what Prometheus understands", async () => {
  const rules = expressions.map((expr, i) => ({
    record: `panel:${i}`,
    expr: expr.replaceAll("$__rate_interval", "1m"),
  }));
  const path = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    // JSON is YAML.
    await Deno.writeTextFile(path, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    await promtool(["check", "rules", path]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("rules and dashboard name only metrics that the distributor has", async () => {
  await using system = await startSystem({ weights: [1] });
  const text = await (await fetch(`${system.url}/metrics`)).text();
  const known = new Set([...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name));
  const rules = Deno.readTextFileSync(pathOf("prometheus/rules.yml"));
  const named = [
    ...`${expressions.join("\n")}\n${rules}`.matchAll(/\b(?:distributor|process)_\w+/g),
  ]
    .map(([name]) => name);
  assert(named.length > 20);
  assertEquals([...new Set(named)].filter((name) => !known.has(name)), []);
});

Deno.test("the dashboard of Grafana can be provisioned as it is", () => {
  assertEquals([dashboard.id, dashboard.uid, dashboard.__inputs], [null, "distributor", undefined]);
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assertEquals(new Set(ids).size, ids.length);
  const provisioning = Deno.readTextFileSync(
    pathOf("grafana/provisioning/datasources/prometheus.yaml"),
  );
  const uids = new Set(JSON.stringify(dashboard).match(/"type":"prometheus","uid":"(\w+)"/g));
  assertEquals([...uids], ['"type":"prometheus","uid":"prometheus"']);
  assert(/^ +uid: prometheus$/m.test(provisioning));
});
