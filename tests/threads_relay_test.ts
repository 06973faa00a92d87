import { assertEquals, assertRejects } from "@std/assert";
import {
  answerRelayed,
  Relay,
  type RelayedAnswer,
  type RelayedRequest,
} from "../src/threads/relay.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** Both ends with a channel between them, as between threads. */
class Ends {
  readonly died = new AbortController();
  readonly relay: Relay;
  readonly #channel = new MessageChannel();

  constructor(handler: Handler) {
    const { port1, port2 } = this.#channel;
    this.relay = new Relay((request, transfer) => port1.postMessage(request, transfer));
    port1.onmessage = ({ data }: MessageEvent<RelayedAnswer>) => this.relay.receive(data);
    port2.onmessage = async ({ data }: MessageEvent<RelayedRequest>) => {
      const { signal } = this.died;
      const { answer, transfer } = await answerRelayed(data, { handler, signal });
      port2.postMessage(answer, transfer);
    };
  }

  [Symbol.dispose](): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

Deno.test("relay takes method, URL, headers and body there, and the answer back", async () => {
  using ends = new Ends(async (request) => {
    const { method, url } = request;
    const headers = { "x-host": request.headers.get("host")!, "retry-after": "1" };
    return Response.json({ method, url, text: await request.text() }, { status: 503, headers });
  });
  const answer = await ends.relay.forward(
    new Request("http://a.example:1/p%41th?x=1", {
      method: "PATCH",
      headers: { host: "a.example:1" },
      body: "héllo",
    }),
  );
  assertEquals(answer.status, 503);
  assertEquals(answer.headers.get("x-host"), "a.example:1");
  assertEquals(answer.headers.get("retry-after"), "1");
  const expected = { method: "PATCH", url: "http://a.example:1/p%41th?x=1", text: "héllo" };
  assertEquals(await answer.json(), expected);
});

Deno.test("relay takes methods that the constructor of a request would refuse", async () => {
  using ends = new Ends(({ method }) => new Response(method));
  const request = new Request("http://a/");
  Object.defineProperty(request, "method", { value: "TRACE" });
  assertEquals(await (await ends.relay.forward(request)).text(), "TRACE");
});

Deno.test("relay keeps answers apart, and one without a body without one", async () => {
  using ends = new Ends(async (request) => {
    const path = new URL(request.url).pathname;
    if (path === "/none") return new Response(null, { status: 204 });
    await Promise.resolve();
    return new Response(path);
  });
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
  const answers = await Promise.all(
    paths.map(async (path) =>
      await (await ends.relay.forward(new Request(`http://a${path}`))).text()
    ),
  );
  assertEquals(answers, paths);
  const none = await ends.relay.forward(new Request("http://a/none"));
  assertEquals([none.status, none.body], [204, null]);
});

/** Events without end; tells when nobody listens any more. */
function endless() {
  const left = Promise.withResolvers<void>();
  let count = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(`data: ${count++}\n\n`)),
    cancel: () => left.resolve(),
  }, { highWaterMark: 0 });
  const headers = { "content-type": "text/event-stream" };
  return { answer: () => new Response(body, { headers }), left: left.promise };
}

Deno.test("relay lets events through as they come, until their reader leaves", async () => {
  const { answer, left } = endless();
  using ends = new Ends(answer);
  const response = await ends.relay.forward(new Request("http://a/events"));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await reader.read()).value, "data: 0\n\n");
  assertEquals((await reader.read()).value, "data: 1\n\n");
  await reader.cancel();
  await left;
});

Deno.test("relay ends what produces events when the thread of their reader dies", async () => {
  const { answer, left } = endless();
  using ends = new Ends(answer);
  const response = await ends.relay.forward(new Request("http://a/events"));
  const reader = response.body!.getReader();
  await reader.read();
  ends.died.abort();
  await left;
  await assertRejects(async () => {
    while (!(await reader.read()).done);
  });
});

Deno.test("relay ends a body whose sender goes away, and one whose thread dies", async () => {
  const failed = Promise.withResolvers<string>();
  using ends = new Ends(async (request) => {
    try {
      return new Response(await request.text());
    } catch (error) {
      failed.resolve((error as Error).message);
      return new Response(null, { status: 400 });
    }
  });
  // What the runtime throws there cannot be copied from thread to thread.
  const body = new ReadableStream({
    pull: () => Promise.reject(new Deno.errors.BadResource("gone")),
  });
  const gone = await ends.relay.forward(new Request("http://a/", { method: "POST", body }));
  assertEquals([gone.status, await failed.promise], [400, "gone"]);

  const never = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const answer = ends.relay.forward(new Request("http://a/", { method: "POST", body: never }));
  await new Promise<void>((resolve) => setTimeout(resolve));
  ends.died.abort();
  assertEquals((await answer).status, 400);
});
