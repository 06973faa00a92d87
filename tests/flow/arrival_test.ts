/** What arrives at the analyzers: the bytes that were sent, and what the contract appends. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { makePacket } from "../support/agent.ts";
import { Recorder } from "../support/recorder.ts";
import { submit } from "../support/submit.ts";
import { eventually, startSystem } from "../support/system.ts";

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

Deno.test("packets arrive as the bytes that were sent, with received_at as the last member", async () => {
  await using recorder = new Recorder();
  await using system = await startSystem();
  await system.register({ id: "recorder", url: recorder.url, weight: 1 });
  const bodies = [
    '{"packet_id":"a","n":12345678901234567890,"log_messages":[{"x":1.10,"x":1e400}],"n":2}',
    '{"log_messages":[1],"packet_id":"b","log_messages":[{}],"é":"\\u00e9\\ud83d\\ude00 😀"}',
    JSON.stringify({ packet_id: "c", log_messages: [{ a: [1, { b: null }] }] }, null, 2),
    '\n{ "packet_id" : "d" ,\r\n\t"log_messages":[ {} ] , "received_at":"1970-01-01T00:00:00Z" } \n',
    '{"packet_id":"id with \\"quotes\\" and é","log_messages":[{}]}',
  ];
  for (const body of bodies) assertEquals((await submit(system, body)).status, 202);
  await system.settles();
  assertEquals(recorder.deliveries.length, bodies.length);
  for (const body of bodies) {
    const opened = body.slice(0, body.lastIndexOf("}"));
    const found = recorder.deliveries.find(({ text }) => text.startsWith(opened));
    assert(found, `arrived unchanged: ${body}`);
    assertMatch(found.text.slice(opened.length), /^,"received_at":"[^"]+"\}$/);
    assertMatch(JSON.parse(found.text).received_at, RFC_3339);
    assertEquals(found.headers.get("content-type"), "application/json");
    assertEquals(found.headers.get("x-attempt"), "1");
  }
  await system.conservation({ seen: () => recorder.seen() });
});

Deno.test("a packet without packet_id arrives with the one that was answered", async () => {
  await using recorder = new Recorder();
  await using system = await startSystem();
  await system.register({ id: "recorder", url: recorder.url, weight: 1 });
  const { json } = await submit(system, '{"packet_id":null,"log_messages":[{}]}');
  await system.settles();
  const [{ text, headers } = { text: "", headers: new Headers() }] = recorder.deliveries;
  const start = '{"packet_id":null,"log_messages":[{}]';
  assert(text.startsWith(`${start},"packet_id":"${json.packet_id}","received_at":"`), text);
  assertEquals(headers.get("x-packet-id"), json.packet_id);
  await system.conservation({ seen: () => recorder.seen() });
});

Deno.test("pretty-printed packets survive a batch of one packet a line", async () => {
  await using system = await startSystem({ weights: [1] });
  const analyzer = system.fleet.get("analyzer1");
  // The first packet is only there to be delivered: by then the batches have been offered.
  await eventually(async () => {
    const number = system.agent.attempted.size;
    const packets = Array.from({ length: 200 }, (_, i) => {
      const packet = makePacket(`pretty-${number}-${i}`, 3, "two\nlines");
      return { ...packet, body: JSON.stringify(JSON.parse(packet.body), null, 2) };
    });
    await system.agent.sendAll(packets, 100);
    return analyzer.stats().batches > 0;
  }, { name: "a batch was sent" });
  await system.conservation();
  assertEquals(analyzer.stats().messages, system.agent.acknowledgedMessages);
});
