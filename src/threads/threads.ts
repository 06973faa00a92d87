/**
 * The ingest threads beside the main one: started, replaced when they die, closed in a drain.
 *
 * Called by the distributor when there is more than one thread. The main thread alone owns queue,
 * registry, deliveries and metrics; what a dead thread had not been answered is not acknowledged.
 */

import { type Cancel, sleep } from "../clock.ts";
import type { ToMain, ToThread } from "./messages.ts";
import { Reception, type ReceptionDoors } from "./reception.ts";
import { problemText, toApiError } from "../problem.ts";
import { answerRelayed, type RelayedAnswer, type RelayedRequest } from "./relay.ts";

/** Between the death of a thread and the next in its place; doubles while none gets to listen. */
const REPLACE_MS = 250;
const MAX_REPLACE_MS = 8000;
/** A thread closes its connections within a second; then it is ended. */
const CLOSE_TIMEOUT_MS = 1500;

export interface ThreadsOptions {
  /** Where the main thread listens. */
  readonly address: { readonly hostname: string; readonly port: number };
  readonly maxBodyBytes: number;
  /** All routes. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** @default the ingest thread of this program */
  readonly module?: URL | undefined;
}

/** Starts one thread for each place in the commons but the main thread's. */
export class Threads {
  readonly #threads: readonly Thread[];

  constructor(options: ThreadsOptions, doors: ReceptionDoors) {
    this.#threads = Array.from(
      { length: doors.commons.threads - 1 },
      (_, i) => new Thread(i + 1, { options, doors }),
    );
  }

  /** Lets no connection in; resolves when all requests have been answered or cut off. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class Thread {
  readonly #number: number;
  readonly #options: ThreadsOptions;
  readonly #doors: ReceptionDoors;
  #worker: Worker;
  /** Aborts when the present worker has died. */
  #died = new AbortController();
  #cancelReplace: Cancel | undefined;
  #closed = Promise.withResolvers<void>();
  #isClosing = false;
  #replaceMs = REPLACE_MS;

  constructor(
    number: number,
    { options, doors }: { options: ThreadsOptions; doors: ReceptionDoors },
  ) {
    this.#number = number;
    this.#options = options;
    this.#doors = doors;
    this.#worker = this.#start();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#cancelReplace?.();
    this.#post({ kind: "close" });
    const late = new AbortController();
    await Promise.race([
      this.#closed.promise,
      sleep(CLOSE_TIMEOUT_MS, this.#doors.clock, late.signal),
    ]);
    late.abort();
    this.#end();
  }

  #start(): Worker {
    const module = this.#options.module ?? new URL("./ingest_thread.ts", import.meta.url);
    const worker = new Worker(module, { type: "module" });
    const reception = new Reception(this.#number, {
      doors: this.#doors,
      answer: (answers) => worker.postMessage({ kind: "answers", answers } satisfies ToThread),
    });
    worker.onmessage = ({ data }: MessageEvent<ToMain>) => this.#receive(data, reception);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
    const { address, maxBodyBytes } = this.#options;
    const { commons, queue } = this.#doors;
    const message: ToThread = {
      kind: "start",
      start: {
        thread: this.#number,
        address,
        commons: commons.buffer,
        capacityBytes: commons.capacityBytes,
        durability: queue.durability,
        maxBodyBytes,
      },
    };
    worker.postMessage(message);
    return worker;
  }

  #receive(message: ToMain, reception: Reception): void {
    if (message.kind === "bundle") return reception.receive(message.bundle);
    if (message.kind === "relay") return void this.#answer(message.request);
    if (message.kind === "closed") return this.#closed.resolve();
    this.#replaceMs = REPLACE_MS;
    this.#doors.log.info("thread listening", { thread: this.#number });
  }

  async #answer(request: RelayedRequest): Promise<void> {
    const { signal } = this.#died;
    try {
      const { answer, transfer } = await answerRelayed(request, {
        handler: this.#options.handler,
        signal,
      });
      if (!signal.aborted) this.#post({ kind: "relayed", answer }, transfer);
    } catch (error) {
      this.#doors.log.error("relayed request failed", { error: String(error) });
      if (!signal.aborted) this.#post({ kind: "relayed", answer: confess(request, error) });
    }
  }

  #post(message: ToThread, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** What the worker has sent and nobody has read yet is forgotten with it. */
  #end(): void {
    this.#worker.onmessage = null;
    this.#worker.onerror = null;
    this.#worker.terminate();
    this.#died.abort();
    this.#doors.commons.reset(this.#number);
    this.#doors.queue.release(0);
  }

  #fail(error: string): void {
    const { log, clock } = this.#doors;
    const delayMs = this.#replaceMs;
    this.#replaceMs = Math.min(2 * delayMs, MAX_REPLACE_MS);
    log.error("thread died", { thread: this.#number, error, again_in_ms: delayMs });
    this.#end();
    this.#closed.resolve();
    if (this.#isClosing) return;
    this.#cancelReplace = clock.after(delayMs, () => {
      this.#died = new AbortController();
      this.#closed = Promise.withResolvers();
      this.#worker = this.#start();
    });
  }
}

/** A request that nobody answers would be waited for. */
function confess({ ticket }: RelayedRequest, error: unknown): RelayedAnswer {
  const { code, message, status } = toApiError(error);
  const body = new TextEncoder().encode(problemText(code, message));
  return { ticket, status, headers: [["content-type", "application/problem+json"]], body };
}
