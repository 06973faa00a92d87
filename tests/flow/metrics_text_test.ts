/** `GET /metrics`: what Prometheus' own tool says of it, what it counts, and what it costs. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { promtool } from "../support/promtool.ts";
import { submit } from "../support/submit.ts";
import { startSystem, type System } from "../support/system.ts";

async function scrape({ url }: { url: string }): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  return await response.text();
}

/** The value of one series, as it is written. */
function valueOf(text: string, series: string): number {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `));
  assert(line !== undefined, `there is no series ${series}`);
  return Number(line.slice(series.length + 1));
}

const seriesOf = (text: string) => text.split("\n").filter((line) => /^[a-z]/.test(line)).length;

async function registerMany(system: System, ids: readonly string[]): Promise<void> {
  const register = (id: string) => system.register({ id, url: "http://127.0.0.1:9", weight: 1 });
  for (let i = 0; i < ids.length; i += 50) {
    await Promise.all(ids.slice(i, i + 50).map(register));
  }
}

Deno.test("GET /metrics is clean in the eyes of promtool, before and after traffic", async () => {
  await using system = await startSystem({ weights: [3, 1] });
  await promtool(["check", "metrics"], await scrape(system));
  await system.agent.sendAll(Array.from({ length: 40 }, (_, i) => makePacket(`p-${i}`)));
  await submit(system, "not json");
  await system.settles();
  await promtool(["check", "metrics"], await scrape(system));
  await system.conservation();
});

Deno.test("GET /metrics counts what the JSON counts, by the same numbers", async () => {
  await using system = await startSystem({ weights: [3, 1] });
  await system.agent.sendAll(Array.from({ length: 40 }, (_, i) => makePacket(`p-${i}`)));
  await submit(system, "not json");
  const json = await system.settles();
  const text = await scrape(system);
  assertEquals(
    valueOf(text, 'distributor_packets_received_total{format="json"}'),
    json.accepted.packets,
  );
  assertEquals(valueOf(text, "distributor_messages_received_total"), json.accepted.messages);
  assertEquals(valueOf(text, 'distributor_packets_rejected_total{reason="INVALID_JSON"}'), 1);
  assertEquals(valueOf(text, "distributor_accept_seconds_count"), 40);
  assertEquals(valueOf(text, "distributor_queue_wait_seconds_count"), 40);
  assertEquals(valueOf(text, "distributor_end_to_end_seconds_count"), 40);
  for (const { id, delivered, share, weight } of json.analyzers) {
    const label = `analyzer="${id}"`;
    assertEquals(
      valueOf(text, `distributor_analyzer_packets_delivered_total{${label}}`),
      delivered.packets,
    );
    const requests = valueOf(text, `distributor_deliveries_total{${label},outcome="delivered"}`);
    assert(requests > 0 && requests <= delivered.packets, `${requests} requests`);
    const actual = valueOf(text, `distributor_analyzer_share_actual_ratio{${label}}`);
    assertEquals(actual, delivered.messages / json.delivered.messages);
    assertEquals(valueOf(text, `distributor_analyzer_share_target_ratio{${label}}`), share.target);
    assertEquals(valueOf(text, `distributor_analyzer_weight{${label}}`), weight);
    assertEquals(valueOf(text, `distributor_analyzer_status{${label},state="healthy"}`), 1);
  }
  await system.conservation();
});

Deno.test("GET /metrics counts ejections and failed probes of one that died", async () => {
  const flags = ["--health-check-interval=50ms", "--health-check-timeout=50ms"];
  await using system = await startSystem({ weights: [1], flags });
  await system.fleet.kill("analyzer1");
  await system.becomes("analyzer1", "ejected");
  const text = await scrape(system);
  assertEquals(valueOf(text, 'distributor_analyzer_ejections_total{analyzer="analyzer1"}'), 1);
  assert(valueOf(text, 'distributor_probes_total{analyzer="analyzer1",result="failed"}') >= 3);
  assertEquals(valueOf(text, 'distributor_analyzer_up{analyzer="analyzer1"}'), 0);
});

Deno.test("GET /metrics has the series it had, after 10,000 registrations and removals", async () => {
  await using system = await startSystem({ weights: [1], flags: ["--health-check-interval=1h"] });
  const before = seriesOf(await scrape(system));
  for (let round = 0; round < 20; round++) {
    const ids = Array.from({ length: 500 }, (_, i) => `r${round}-${i}`);
    await registerMany(system, ids);
    for (let i = 0; i < ids.length; i += 50) {
      await Promise.all(
        ids.slice(i, i + 50).map((id) => system.call("DELETE", `/api/v1/analyzers/${id}`)),
      );
    }
  }
  assertEquals(seriesOf(await scrape(system)), before);
});

Deno.test("GET /metrics with 1000 analyzers takes less than 20 ms", async () => {
  await using system = await startSystem({ flags: ["--health-check-interval=1h"] });
  await registerMany(system, Array.from({ length: 1000 }, (_, i) => `analyzer-${i}`));
  const times: number[] = [];
  for (let i = 0; i < 60; i++) {
    const startedMs = performance.now();
    await scrape(system);
    times.push(performance.now() - startedMs);
  }
  times.sort((a, b) => a - b);
  const [best, median] = [times[0]!, times[times.length >> 1]!];
  console.log(`a scrape of 1000 analyzers: ${median.toFixed(1)} ms, ${best.toFixed(1)} at best`);
  assert(median < 20, `${median} ms`);
});
