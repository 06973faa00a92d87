import { assert, assertEquals } from "@std/assert";
import { discardBody } from "../src/discard.ts";
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

Deno.test("discardBody() reads to the end", async () => {
  const clock = new FakeClock();
  const { request, controller, wasCancelled } = refused();
  const discarding = discardBody(request, clock);
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

Deno.test("discardBody() reads on where a reader has let go", async () => {
  const { request, controller } = refused();
  const reader = request.body!.getReader();
  controller.enqueue(chunk());
  await reader.read();
  reader.releaseLock();
  let isOver = false;
  const discarding = discardBody(request, new FakeClock()).then(() => isOver = true);
  controller.enqueue(chunk());
  await settle();
  assert(!isOver);
  controller.close();
  await discarding;
});

Deno.test("discardBody() waits 200 ms for a silent client, and 5 s for any", async () => {
  const clock = new FakeClock();
  const silent = refused();
  let isOver = false;
  const discarding = discardBody(silent.request, clock).then(() => isOver = true);
  clock.advance(199);
  await settle();
  assert(!isOver);
  clock.advance(1);
  await discarding;
  assert(silent.wasCancelled());

  const endless = refused();
  let ms = 0;
  const other = discardBody(endless.request, clock);
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

Deno.test("discardBody() leaves what is not there, is taken, fails or is not sent before an answer", async () => {
  const clock = new FakeClock();
  await discardBody(new Request("http://a/"), clock);
  const taken = refused();
  taken.request.body!.getReader();
  await discardBody(taken.request, clock);
  const failing = refused();
  failing.controller.error(new TypeError("reset"));
  await discardBody(failing.request, clock);
  await discardBody(refused({ expect: "100-continue" }).request, clock);
  assertEquals(clock.timers, 0);
});
