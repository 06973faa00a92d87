import { assert, assertEquals } from "@std/assert";
import { Discarder } from "../src/discard.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** A request whose body comes as a test lets it, and what became of it. */
function refused(headers: Record<string, string> = {}) {
  let cancelled = false;
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (its) => void (controller = its),
    cancel: () => void (cancelled = true),
  });
  const request = new Request("http://a/", { method: "POST", body, headers });
  return { request, controller, wasCancelled: () => cancelled };
}

const chunk = () => new Uint8Array(64 * 1024);
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("discarder reads to the end", async () => {
  const clock = new FakeClock();
  const { request, controller, wasCancelled } = refused();
  const discarding = new Discarder(clock).discard(request);
  for (let i = 0; i < 100; i++) {
    controller.enqueue(chunk());
    await settle();
    clock.advance(20);
  }
  controller.close();
  await discarding;
  assert(!wasCancelled());
  assertEquals(clock.timers, 0);
});

Deno.test("discarder reads on where a reader has let go", async () => {
  const { request, controller } = refused();
  const reader = request.body!.getReader();
  controller.enqueue(chunk());
  await reader.read();
  reader.releaseLock();
  let isOver = false;
  const discarding = new Discarder(new FakeClock()).discard(request).then(() => isOver = true);
  controller.enqueue(chunk());
  await settle();
  assert(!isOver);
  controller.close();
  await discarding;
});

Deno.test("discarder waits 200 ms for a silent client, and 5 s for any", async () => {
  const clock = new FakeClock();
  const silent = refused();
  let isOver = false;
  const discarding = new Discarder(clock).discard(silent.request).then(() => isOver = true);
  clock.advance(199);
  await settle();
  assert(!isOver);
  clock.advance(1);
  await discarding;
  assert(silent.wasCancelled());

  const endless = refused();
  let ms = 0;
  const other = new Discarder(clock).discard(endless.request);
  while (!endless.wasCancelled()) {
    endless.controller.enqueue(chunk());
    await settle();
    clock.advance(100);
    ms += 100;
    await settle();
  }
  await other;
  assertEquals(ms, 5000);
});

Deno.test("discarder reads 16 MiB on, and of 32 long bodies at a time", async () => {
  const clock = new FakeClock();
  const discarder = new Discarder(clock);
  const all = Array.from({ length: 33 }, () => refused());
  const discarding = all.map(({ request }) => discarder.discard(request));
  await discarding[32];
  assert(!all[32]!.request.bodyUsed);
  const short = refused({ "content-length": "1000" });
  const last = discarder.discard(short.request);
  assert(short.request.body!.locked, "a short body is always read on");
  const [first] = all;
  for (let i = 0; i < 256; i++) first!.controller.enqueue(chunk());
  await settle();
  assert(!first!.wasCancelled());
  first!.controller.enqueue(chunk());
  await discarding[0];
  assert(first!.wasCancelled());
  clock.advance(200);
  await Promise.all([last, ...discarding]);
  const next = refused();
  void discarder.discard(next.request);
  assert(next.request.body!.locked, "there is room for others again");
});

Deno.test("discarder leaves what is not there, is taken or fails", async () => {
  const clock = new FakeClock();
  await new Discarder(clock).discard(new Request("http://a/"));
  const taken = refused();
  taken.request.body!.getReader();
  await new Discarder(clock).discard(taken.request);
  const failing = refused();
  failing.controller.error(new TypeError("reset"));
  await new Discarder(clock).discard(failing.request);
  assertEquals(clock.timers, 0);
});
