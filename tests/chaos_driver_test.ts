import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Driver } from "./chaos/driver.ts";
import { bodyOf, idOf, isUnchanged } from "./chaos/packets.ts";
import { takenBy, Witness } from "./chaos/witness.ts";
import { eventually } from "./support/eventually.ts";

type Handler = (text: string) => Response | Promise<Response>;

async function withServer(handler: Handler, use: (url: string) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} },
    async (request) => await handler(await request.text()),
  ) as Deno.HttpServer<Deno.NetAddr>;
  try {
    await use(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    stop.abort();
    await server.finished;
  }
}

Deno.test("driver.post() takes only a whole 202 for an acknowledgement", async () => {
  const cut = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(10));
          controller.error(new Error("cut"));
        },
      }),
      { status: 202 },
    );
  const answers = [
    () => new Response("{}", { status: 202 }),
    () => new Response("{}", { status: 503 }),
    cut,
    () => new Response("{}", { status: 202 }),
  ];
  await withServer((text) => answers[Number(idOf(text).slice(1))]!(), async (url) => {
    await using driver = new Driver({ url: () => url });
    assertEquals(await driver.post(), 202);
    assertEquals(await driver.post(), 503);
    assertEquals(await driver.post(), 0);
    assertEquals(await driver.post(), 202);
    assertEquals([...driver.attempted], ["c0", "c1", "c2", "c3"]);
    assertEquals([...driver.acknowledged], ["c0", "c3"]);
    assertEquals([...driver.unknown], ["c2"]);
    assertEquals(driver.refusals.map(({ status }) => status), [503]);
  });
});

Deno.test("driver.start() keeps its rate, and stop() waits for the answers", async () => {
  await withServer(() => new Response(null, { status: 202 }), async (url) => {
    await using driver = new Driver({ url: () => url });
    const startedMs = performance.now();
    driver.start(200);
    await eventually(() => driver.acknowledged.size >= 100, { name: "a hundred are answered" });
    await driver.stop();
    const rate = driver.attempted.size / (performance.now() - startedMs) * 1000;
    assertAlmostEquals(rate, 200, 60);
    assertEquals(driver.acknowledged.size, driver.attempted.size);
  });
});

Deno.test("driver.burst() sends so many, or until told to end", async () => {
  await withServer(() => new Response(null, { status: 202 }), async (url) => {
    await using driver = new Driver({ url: () => url });
    await driver.burst(50, { concurrency: 8 });
    assertEquals(driver.acknowledged.size, 50);
    const until = () => driver.acknowledged.size >= 60;
    await driver.burst(1000, { concurrency: 1, until });
    assertEquals(driver.acknowledged.size, 60);
  });
});

Deno.test("packets: a byte that differs is seen, what the distributor appends is not", () => {
  const arrived = `${bodyOf("c1").slice(0, -1)},"received_at":"2026-01-02T03:04:05.678Z"}`;
  assertEquals([idOf(arrived), isUnchanged(arrived)], ["c1", true]);
  assertEquals(isUnchanged(arrived.replace("12345678901234567890", "12345678901234567000")), false);
  assertEquals(isUnchanged(arrived.replace('"twice":1,', "")), false);
  assertEquals(isUnchanged(bodyOf("c1")), false);
  assertEquals(idOf("{}"), "");
});

Deno.test("witness keeps what it answers 2xx, whatever else, and nothing else", async () => {
  await using witness = new Witness({ id: "w", weight: 1 });
  const packet = (id: string) => `${bodyOf(id).slice(0, -1)},"received_at":"2026-01-02T03:04:05Z"}`;
  const send = async (body: string) => {
    const response = await fetch(`${witness.url}/analyze`, { method: "POST", body });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await send(`${packet("c1")}\n${packet("c2")}\n`), 200);
  assertEquals(await send(bodyOf("c2")), 200);
  witness.answer = (ids) => new Response(null, { status: ids.includes("c3") ? 500 : 204 });
  assertEquals(await send(packet("c3")), 500);
  assertEquals(await send(packet("c4")), 204);
  assertEquals([...takenBy([witness])], [["c1", 1], ["c2", 2], ["c4", 1]]);
  assertEquals(witness.changed, ["c2"]);
});
