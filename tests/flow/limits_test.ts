/** The distributor at the limits of its process: descriptors, memory for bodies, a fault in it. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { needsSource } from "../support/from_source.ts";
import { Agent, makePacket } from "../support/agent.ts";
import { assertBalanced, assertConserved } from "../support/conservation.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { openDescriptors, residentBytes } from "../support/proc.ts";
import { DIST, startDistributorProgram } from "../support/program.ts";
import { register } from "../support/register.ts";

const IS_LINUX = Deno.build.os === "linux";
const MIB = 2 ** 20;

async function connectAll(url: string, count: number): Promise<Deno.Conn[]> {
  const { hostname, port } = new URL(url);
  const connections: Deno.Conn[] = [];
  while (connections.length < count) {
    try {
      connections.push(await Deno.connect({ hostname, port: Number(port) }));
    } catch {
      // Nobody listens for now.
      break;
    }
  }
  return connections;
}

function closeAll(connections: Deno.Conn[]): void {
  for (const connection of connections) connection.close();
}

for (const keeps of [true, false]) {
  Deno.test({
    name: `running out of descriptors costs nothing, with agents that ${keeps ? "stay" : "leave"}`,
    ignore: !IS_LINUX || keeps && needsSource("listener's end"),
    fn: () => runOutOfDescriptors(keeps),
  });
}

/** @param keeps whether the agent has an idle connection all the while */
async function runOutOfDescriptors(keeps: boolean): Promise<void> {
  const { program, url } = await startDistributorProgram([], { descriptors: 80 });
  await using _program = program;
  // On a connection of its own, as a client that comes now.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const agent = new Agent(url, keeps ? {} : { client });
  const isAlive = async () => {
    const response = await fetch(`${url}/health`, { client });
    await response.body?.cancel();
    return response.ok;
  };
  for (let round = 1; round <= 3; round++) {
    assertEquals(await agent.post(makePacket(`queued-${round}`)), 202);
    const failures = () => program.events().filter(({ event }) => event === "listening failed");
    const before = failures().length;
    const connections = await connectAll(url, 120);
    // Some runtimes say so only when connections have ended.
    const hasRunOut = () => failures().length > before || openDescriptors(program.pid) >= 79;
    await eventually(hasRunOut, { name: `it runs out, round ${round}` });
    closeAll(connections);
    await eventually(() => failures().length > before, { name: `failure ${round} is logged` });
    await eventually(isAlive, { name: "it serves again", timeoutMs: 2000 });
  }
  const fleet = new Fleet();
  await register(url, { id: "a", url: (await fleet.add("a", 1)).url });
  await eventually(() => fleet.seen().size === 3, { name: "all are delivered" });
  program.signal("SIGTERM");
  assertEquals((await program.exits()).code, 0);
  assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
  await fleet.close();
}

Deno.test({
  name: "half-sent bodies hold no more memory than --queue-bytes allows",
  ignore: !IS_LINUX,
  fn: async () => {
    const { program, url } = await startDistributorProgram([
      "--queue-bytes=8MiB",
      "--drain-timeout=0",
    ]);
    await using _program = program;
    const agent = new Agent(url);
    assertEquals(await agent.post(makePacket("first")), 202);
    const before = residentBytes(program.pid);
    const connections = await connectAll(url, 60);
    const half = new Uint8Array(4 * MIB - 64 * 1024).fill(0x20);
    const start = `POST /api/v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`;
    for (const connection of connections) {
      await connection.write(new TextEncoder().encode(start));
      // Refused ones are not read on for ever, so this may never end: closing does.
      void writeAll(connection, half).catch(() => {});
    }
    const refused = await eventually(async () => {
      const metrics = await (await fetch(`${url}/api/v1/metrics`)).json();
      assertBalanced(metrics);
      // Memory follows what comes: two of them may just fit.
      return metrics.rejected.by_code.QUEUE_FULL >= 58 && metrics;
    }, { name: "all but one or two are refused" });
    const { packets, by_code } = refused.rejected;
    assertEquals(by_code, { QUEUE_FULL: packets }, "for nothing else");
    const grownMiB = (residentBytes(program.pid) - before) / MIB;
    console.log(`60 half-sent bodies of 4 MiB: +${grownMiB.toFixed(0)} MiB`);
    assertLess(grownMiB, 64);
    assertEquals(await agent.post(makePacket("second")), 202, "there is room for short ones");
    closeAll(connections);
    program.signal("SIGTERM");
    assertEquals((await program.exits()).code, 0);
    assertConserved({ agent, seen: new Map(), dead: [], queued: 2 });
  },
});

Deno.test("clients that announce much and send little keep nobody out", async () => {
  const flags = ["--durability=memory", "--queue-bytes=8MiB", "--drain-timeout=0"];
  const { program, url } = await startDistributorProgram(flags);
  await using _program = program;
  const agent = new Agent(url);
  const connections = await connectAll(url, 100);
  const start = `POST /api/v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n{`;
  for (const connection of connections) await connection.write(new TextEncoder().encode(start));
  await eventually(async () => {
    const metrics = await (await fetch(`${url}/api/v1/metrics`)).json();
    return metrics.queued.packets === 0 && await agent.post(makePacket("a")) === 202;
  }, { name: "a packet is accepted" });
  for (let i = 0; i < 50; i++) {
    const large = makePacket(`large-${i}`, 1, "x".repeat(100_000));
    assertEquals(await agent.post(large), 202);
  }
  closeAll(connections);
  program.signal("SIGTERM");
  assertEquals((await program.exits()).code, 0);
  assertConserved({ agent, seen: new Map(), dead: [], queued: 51 });
});

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}

for (const signal of ["SIGUSR1", "SIGUSR2"] as const) {
  Deno.test({
    name: `a fault that nobody catches (${signal}) is logged, and what was accepted delivered`,
    ignore: Deno.build.os === "windows" || DIST !== undefined,
    fn: async () => {
      const preload = new URL("../support/fault_on_signal.ts", import.meta.url);
      const { program, url } = await startDistributorProgram([], { preload });
      await using _program = program;
      const fleet = new Fleet();
      const agent = new Agent(url);
      const options = { batches: false, faults: { latency: 300 } };
      await register(url, { id: "slow", url: (await fleet.add("slow", 1, options)).url });
      await agent.sendAll(Array.from({ length: 100 }, (_, i) => makePacket(`p-${i}`)));
      program.signal(signal);
      assertEquals((await program.exits()).code, 1);
      const fault = program.events().find(({ event }) => event.startsWith("uncaught fault"));
      assertEquals(fault?.["level"], "error");
      assert(String(fault?.["error"]).includes("nobody catches this"));
      assertEquals((await program.logs("distributor stopped"))["undelivered_packets"], 0);
      assertConserved({ agent, seen: fleet.seen(), dead: [], queued: 0 });
      await fleet.close();
    },
  });
}
