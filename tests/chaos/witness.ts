/**
 * An analyzer that keeps which packets it took and whether their bytes are those that were sent.
 *
 * Always true: a packet is in `taken` before its 2xx leaves. What else it answers is up to the
 * fault: `answer` is asked first, and takes nothing by answering with another status.
 */

import { idOf, isUnchanged } from "./packets.ts";

/** Answers a request that brought these packets, or leaves it to the witness. */
export type Answer = (
  ids: readonly string[],
) => Response | undefined | Promise<Response | undefined>;

export interface WitnessOptions {
  readonly id: string;
  readonly weight: number;
  /** Offers NDJSON. @default true */
  readonly batches?: boolean;
}

export class Witness {
  readonly id: string;
  readonly weight: number;
  /** How often each packet was taken. */
  readonly taken = new Map<string, number>();
  /** Ids of packets that came with other bytes than were sent. */
  readonly changed: string[] = [];
  answer: Answer = () => undefined;
  answerHealth: () => Response | undefined = () => undefined;
  /** Requests at other paths than an analyzer has. */
  strays = 0;
  readonly #batches: boolean;
  readonly #stop = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ id, weight, batches = true }: WitnessOptions) {
    this.id = id;
    this.weight = weight;
    this.#batches = batches;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, signal: this.#stop.signal, onListen() {} },
      (request) => this.#handle(request),
    ) as Deno.HttpServer<Deno.NetAddr>;
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/health") return this.answerHealth() ?? this.#healthy();
    if (pathname !== "/analyze") {
      this.strays++;
      return new Response(null, { status: 404 });
    }
    let text: string;
    try {
      text = await request.text();
    } catch {
      // The sender has died in the middle: nobody reads the answer either.
      return new Response(null, { status: 400 });
    }
    const packets = text.split("\n").filter((line) => line !== "");
    const special = await this.answer(packets.map(idOf));
    // A 2xx says that they were taken, whatever else is wrong with it.
    if (special && !special.ok) return special;
    for (const packet of packets) this.#take(packet);
    return special ?? Response.json({ status: "processed" });
  }

  #healthy(): Response {
    const accepts = this.#batches ? "application/json, application/x-ndjson" : "application/json";
    return Response.json({ status: "healthy" }, { headers: { "accept-post": accepts } });
  }

  #take(packet: string): void {
    const id = idOf(packet);
    this.taken.set(id, (this.taken.get(id) ?? 0) + 1);
    if (!isUnchanged(packet)) this.changed.push(id);
  }
}

/** How often each packet was taken by any of them. */
export function takenBy(witnesses: readonly Witness[]): Map<string, number> {
  const taken = new Map<string, number>();
  for (const witness of witnesses) {
    for (const [id, times] of witness.taken) taken.set(id, (taken.get(id) ?? 0) + times);
  }
  return taken;
}
