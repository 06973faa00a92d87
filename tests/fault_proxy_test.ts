import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { FaultProxy, type ProxyFault } from "./support/fault_proxy.ts";
import { eventually } from "./support/eventually.ts";

const TEXT = "0123456789".repeat(100);

interface Heard {
  readonly text: string;
  readonly end: "end" | "reset" | "silence";
}

/** Answers each line with TEXT, over TCP. */
function serveText(): { port: number; [Symbol.asyncDispose](): Promise<void> } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const answer = async (connection: Deno.Conn) => {
    open.add(connection);
    const chunk = new Uint8Array(1024);
    try {
      while (await connection.read(chunk) !== null) {
        await connection.write(new TextEncoder().encode(TEXT));
      }
    } catch {
      // The proxy has cut it.
    }
    open.delete(connection);
    connection.close();
  };
  const serving = (async () => {
    const answering: Promise<void>[] = [];
    for await (const connection of listener) answering.push(answer(connection));
    await Promise.all(answering);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

function dial({ url }: FaultProxy, timeoutMs = 2000): Promise<Deno.TcpConn> {
  const signal = AbortSignal.timeout(timeoutMs);
  return Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port), signal });
}

/** Sends a line and hears what comes, until the end or for so long. */
async function ask(proxy: FaultProxy, waitMs = 2000): Promise<Heard> {
  const connection = await dial(proxy);
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    connection.close();
  }, waitMs);
  let text = "";
  try {
    await connection.write(new TextEncoder().encode("?\n"));
    const chunk = new Uint8Array(4096);
    while (text.length < TEXT.length) {
      const read = await connection.read(chunk);
      if (read === null) break;
      text += new TextDecoder("latin1").decode(chunk.subarray(0, read));
    }
    return { text, end: "end" };
  } catch {
    return { text, end: isOver ? "silence" : "reset" };
  } finally {
    clearTimeout(timer);
    if (!isOver) connection.close();
  }
}

async function withProxy(use: (proxy: FaultProxy) => Promise<void>): Promise<void> {
  await using server = serveText();
  using proxy = await FaultProxy.start(server.port);
  await use(proxy);
}

Deno.test("proxy passes everything while there is no fault", async () => {
  await withProxy(async (proxy) => {
    assertEquals(await ask(proxy), { text: TEXT, end: "end" });
    assertEquals(proxy.struck, 0);
  });
});

Deno.test("proxy ends an answer where it was told to", async () => {
  const rows: [fault: ProxyFault, heard: Heard][] = [
    [{ kind: "truncate", afterBytes: 7 }, { text: TEXT.slice(0, 7), end: "end" }],
    [{ kind: "truncate", afterBytes: () => 0 }, { text: "", end: "end" }],
    [{ kind: "half-close", afterBytes: 9 }, { text: TEXT.slice(0, 9), end: "end" }],
    [{ kind: "reset", afterBytes: 0 }, { text: "", end: "reset" }],
    [{ kind: "silent" }, { text: "", end: "silence" }],
  ];
  await withProxy(async (proxy) => {
    for (const [i, [fault, heard]] of rows.entries()) {
      await proxy.set(fault);
      assertEquals(await ask(proxy, 300), heard, fault.kind);
      assertEquals(proxy.struck, i + 1, fault.kind);
    }
  });
});

Deno.test("proxy resets in the middle of an answer", async () => {
  await withProxy(async (proxy) => {
    await proxy.set({ kind: "reset", afterBytes: 10 });
    const { text, end } = await ask(proxy);
    assertEquals(end, "reset");
    // A reset may overtake what was sent before it.
    assert(TEXT.slice(0, 10).startsWith(text), text);
  });
});

Deno.test("proxy makes garbage of the same length", async () => {
  await withProxy(async (proxy) => {
    await proxy.set({ kind: "garbage" });
    const { text } = await ask(proxy);
    assertEquals(text.length, TEXT.length);
    assert(text !== TEXT);
  });
});

Deno.test("proxy delays, and trickles at the rate it is told", async () => {
  await withProxy(async (proxy) => {
    for (
      const fault of [
        { kind: "delay", ms: 150 },
        { kind: "throttle", bytesPerSecond: 5000 },
      ] as const
    ) {
      await proxy.set(fault);
      const startedMs = performance.now();
      assertEquals((await ask(proxy)).text, TEXT);
      assertGreaterOrEqual(performance.now() - startedMs, 140, fault.kind);
    }
  });
});

Deno.test("proxy refuses, resets what is open, and takes the same port again", async () => {
  await withProxy(async (proxy) => {
    const connection = await dial(proxy);
    await connection.write(new Uint8Array(1));
    await connection.read(new Uint8Array(1));
    await proxy.set({ kind: "refuse" });
    await eventually(async () => {
      try {
        return await connection.read(new Uint8Array(4096)) === null;
      } catch {
        return true;
      }
    }, { name: "the open connection has ended" });
    connection.close();
    await assertRejects(() => dial(proxy), Deno.errors.ConnectionRefused);
    await proxy.set({ kind: "none" });
    assertEquals((await ask(proxy)).text, TEXT);
  });
});

Deno.test({
  name: "proxy lets connecting go unanswered, and answers again",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await withProxy(async (proxy) => {
      await proxy.set({ kind: "blackhole" });
      await assertRejects(() => dial(proxy, 200), DOMException);
      await proxy.set({ kind: "none" });
      assertEquals((await ask(proxy)).text, TEXT);
    });
  },
});
