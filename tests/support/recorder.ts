/**
 * An analyzer that keeps every request as it came, for tests that look at bytes and headers.
 *
 * It understands what a seed analyzer does, one packet a request; what it answers is up to the test.
 */

import { eventually } from "./eventually.ts";

/** One `POST /analyze`. */
export interface Delivery {
  /** From the body; "" when it has none. */
  readonly id: string;
  readonly headers: Headers;
  readonly text: string;
  readonly atMs: number;
}

export type Answer = (delivery: Delivery) => Response | Promise<Response>;

const ANSWER_OK: Answer = () => Response.json({ status: "processed" });

export class Recorder {
  /** All requests, whatever their answer. */
  readonly deliveries: Delivery[] = [];
  /** Turned by the test at any time. */
  answer: Answer = ANSWER_OK;
  /** What `GET /health` answers. */
  answerHealth: () => Response = () => Response.json({ status: "healthy" });
  readonly #processed = new Map<string, number>();
  #port = 0;
  #life: { server: Deno.HttpServer<Deno.NetAddr>; controller: AbortController } | undefined;

  constructor() {
    this.#listen();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How often each packet was answered 2xx. */
  seen(): Map<string, number> {
    return new Map(this.#processed);
  }

  /** Frees the port and breaks the connections. */
  async kill(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    life?.controller.abort();
    await life?.server.finished;
  }

  /** Listens on the same port again. */
  async start(): Promise<void> {
    await eventually(() => {
      this.#listen();
      return true;
    }, { name: `port ${this.#port} is free again`, timeoutMs: 90_000 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #listen(): void {
    const controller = new AbortController();
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      signal: controller.signal,
      onListen() {},
    }, (request) => this.#handle(request)) as Deno.HttpServer<Deno.NetAddr>;
    this.#port = server.addr.port;
    this.#life = { server, controller };
  }

  async #handle(request: Request): Promise<Response> {
    if (request.url.endsWith("/health")) return this.answerHealth();
    const text = await request.text();
    const id = JSON.parse(text).packet_id ?? "";
    const delivery = { id, headers: request.headers, text, atMs: performance.now() };
    this.deliveries.push(delivery);
    const response = await this.answer(delivery);
    if (response.ok) this.#processed.set(id, (this.#processed.get(id) ?? 0) + 1);
    return response;
  }
}
