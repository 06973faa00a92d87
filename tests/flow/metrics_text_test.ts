/** `GET /metrics`: what Prometheus' own tool says of it, what it counts, and what it costs. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { startDistributorProgram } from "../support/program.ts";
import { promtool } from "../support/promtool.ts";
import { register } from "../support/register.ts";
import { submit } from "../support/submit.ts";
import { startSystem, type System } from "../support/system.ts";

/** Scrapes until the runtime has compiled what makes them. */
const WARM_UP = 40;

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
  // A process of its own, as it is to Prometheus.
  const { program, url } = await startDistributorProgram(["--health-check-interval=1h"]);
  await using _program = program;
  const ids = Array.from({ length: 1000 }, (_, i) => `analyzer-${i}`);
  for (const id of ids) await register(url, { id, url: "http://127.0.0.1:9" });
  for (let i = 0; i < WARM_UP; i++) await timeScrape(url);
  const times: number[] = [];
  for (let i = 0; i < 60; i++) times.push(await timeScrape(url));
  times.sort((a, b) => a - b);
  const [tenth, median] = [times[6]!, times[30]!];
  console.log(
    `a scrape of 1000 analyzers: ${median.toFixed(1)} ms; a tenth within ${tenth.toFixed(1)} ms`,
  );
  // A tenth: what it costs, whatever else the machine does most of the time.
  assert(tenth < 20, `${tenth} ms`);
});

/** By hand: fetch would take longer to hand over the bytes than the distributor to write them. */
async function timeScrape(url: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const startedMs = performance.now();
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  const chunk = new Uint8Array(1024 * 1024);
  let length = 0;
  for (let read = await connection.read(chunk); read; read = await connection.read(chunk)) {
    length += read;
  }
  assert(length > 1e6, `${length} bytes`);
  return performance.now() - startedMs;
}
