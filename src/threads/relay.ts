/**
 * Takes requests from the thread at whose socket they arrived to the main thread, which answers
 * them by its own routes, and the answers back: bodies as streams, in both directions.
 *
 * Always true: when the other thread dies, the streams to it end here, with what produces them.
 */

export interface RelayedRequest {
  readonly ticket: number;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly [string, string][];
  readonly body: ReadableStream<Uint8Array> | null;
}

export interface RelayedAnswer {
  readonly ticket: number;
  readonly status: number;
  readonly headers: readonly [string, string][];
  /** What goes on without end is a stream; all else is whole, and gets its Content-Length. */
  readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null;
}

type Handler = (request: Request) => Response | Promise<Response>;

/** The ingest thread's end. */
export class Relay {
  readonly #post: (request: RelayedRequest, transfer: Transferable[]) => void;
  readonly #waiting = new Map<number, (answer: RelayedAnswer) => void>();
  #ticket = 0;

  constructor(post: (request: RelayedRequest, transfer: Transferable[]) => void) {
    this.#post = post;
  }

  /** Has the main thread answer a request. */
  async forward(request: Request): Promise<Response> {
    const ticket = this.#ticket++;
    const body = request.body && carry(request.body);
    const { method, url, headers } = request;
    const { promise, resolve } = Promise.withResolvers<RelayedAnswer>();
    this.#waiting.set(ticket, resolve);
    this.#post({ ticket, method, url, headers: [...headers], body }, transferOf(body));
    const answer = await promise;
    return new Response(answer.body, { status: answer.status, headers: [...answer.headers] });
  }

  receive(answer: RelayedAnswer): void {
    this.#waiting.get(answer.ticket)?.(answer);
    this.#waiting.delete(answer.ticket);
  }
}

/**
 * The main thread's end: answers one relayed request.
 *
 * @param options.signal aborts when the other thread has died
 */
export async function answerRelayed(
  request: RelayedRequest,
  { handler, signal }: { handler: Handler; signal: AbortSignal },
): Promise<{ answer: RelayedAnswer; transfer: Transferable[] }> {
  const rebuilt = rebuild(request, signal);
  const response = await handler(rebuilt);
  const { status, headers } = response;
  const isEndless = headers.get("content-type")?.startsWith("text/event-stream");
  const body = response.body &&
    (isEndless ? carry(response.body, signal) : await response.bytes());
  if (!rebuilt.bodyUsed) void rebuilt.body?.cancel();
  const answer = { ticket: request.ticket, status, headers: [...headers], body };
  return { answer, transfer: transferOf(body) };
}

/** A request as it came in, whatever the constructor would make of such a method or URL. */
function rebuild({ method, url, headers, body }: RelayedRequest, signal: AbortSignal): Request {
  const request = new Request("http://relayed/", {
    method: body ? "POST" : "GET",
    headers: [...headers],
    body: body && carry(body, signal),
  });
  Object.defineProperties(request, { method: { value: method }, url: { value: url } });
  return request;
}

/**
 * A stream that can be handed to another thread: an error that cannot be copied would never arrive.
 *
 * @param died ends this stream and its source
 */
function carry(
  source: ReadableStream<Uint8Array>,
  died?: AbortSignal,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const over = new AbortController();
  const leave = (reason?: unknown) => {
    over.abort();
    void reader.cancel(reason).catch(() => {});
  };
  return new ReadableStream({
    start(controller) {
      const end = () => {
        leave();
        controller.error(new TypeError("Cannot read on: the thread has died"));
      };
      if (died?.aborted) return end();
      died?.addEventListener("abort", end, { signal: over.signal });
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        over.abort();
        controller.close();
      } catch (error) {
        over.abort();
        controller.error(new TypeError((error as Error).message));
      }
    },
    cancel: leave,
  }, { highWaterMark: 0 });
}

function transferOf(body: RelayedAnswer["body"]): Transferable[] {
  if (body === null) return [];
  return body instanceof Uint8Array ? [body.buffer] : [body as unknown as Transferable];
}
