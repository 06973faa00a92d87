/**
 * Server-sent events: one snapshot a second, written once whatever the number of viewers.
 *
 * Always true: a viewer that does not read holds a few events, misses those in between, and is let
 * go after a while; there are never more viewers than {@link MAX_VIEWERS}.
 */

import { ServerSentEventStream } from "@std/http/server-sent-event-stream";
import type { Clock } from "../clock.ts";
import { ApiError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Sampler } from "./snapshot.ts";

export const MAX_VIEWERS = 500;
const TICK_MS = 1000;
/** Events that a viewer may be behind before it misses some. */
const MAX_BEHIND = 4;
/** One that has missed so many in a row has gone, though its connection has not. */
const MAX_MISSED = 30;
/** How soon a page that lost the stream should come back. */
const RETRY_MS = 1000;

interface Viewer {
  /** Undefined until its history is written. */
  out?: ReadableStreamDefaultController<Uint8Array>;
  missed: number;
}

export const STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // A proxy that buffers would make a live view of it anything but.
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff",
};

export class EventStream {
  readonly #sampler: Sampler;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #viewers = new Set<Viewer>();
  /** The snapshot as it is sent, until the next tick: made once for all, when somebody asks. */
  #snapshot: string | undefined;
  /** What a newcomer gets, in the same way. */
  #welcome: Promise<Uint8Array<ArrayBuffer>> | undefined;
  #cancelTick: () => void;
  #dueMs: number;
  #isClosed = false;

  constructor(sampler: Sampler, { clock, log }: { clock: Clock; log: Log }) {
    this.#sampler = sampler;
    this.#clock = clock;
    this.#log = log;
    this.#dueMs = clock.monotonicMs() + TICK_MS;
    this.#cancelTick = clock.after(TICK_MS, () => this.#tick());
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /**
   * The answer to one viewer: an event `history`, then a `snapshot` a second.
   *
   * @throws {ApiError} when there are too many
   */
  open(): Response {
    if (this.#isClosed) {
      throw new ApiError("DRAINING", "The distributor is shutting down", { "retry-after": "1" });
    }
    if (this.#viewers.size >= MAX_VIEWERS) {
      throw new ApiError("TOO_MANY_VIEWERS", `${MAX_VIEWERS} watch already: try again later`, {
        "retry-after": "5",
      });
    }
    const viewer: Viewer = { missed: 0 };
    this.#viewers.add(viewer);
    const stream = new ReadableStream<Uint8Array>({
      start: async (out) => {
        const welcome = await this.#write(() => this.#welcome ??= this.#writeWelcome());
        // Not before its history: a snapshot that came first would look older than it.
        viewer.out = out;
        if (welcome && this.#viewers.has(viewer)) this.#send(viewer, welcome);
        else this.#letGo(viewer);
      },
      cancel: () => void this.#viewers.delete(viewer),
    }, { highWaterMark: MAX_BEHIND });
    return new Response(stream, { headers: STREAM_HEADERS });
  }

  /** Ends all streams. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTick();
    for (const viewer of this.#viewers) this.#letGo(viewer);
  }

  #tick(): void {
    // Held to the whole second: else the ticks' own delays would add up. After a stall it begins
    // anew: a second of a few milliseconds would show rates that never were.
    const nowMs = this.#clock.monotonicMs();
    this.#dueMs = nowMs < this.#dueMs + TICK_MS / 2 ? this.#dueMs + TICK_MS : nowMs + TICK_MS;
    this.#cancelTick = this.#clock.after(this.#dueMs - nowMs, () => this.#tick());
    this.#sampler.turn();
    this.#snapshot = undefined;
    this.#welcome = undefined;
    if (this.#viewers.size > 0) void this.#broadcast();
  }

  async #broadcast(): Promise<void> {
    const bytes = await this.#write(() => writeEvents(this.#snapshotEvents()));
    if (bytes) { for (const viewer of this.#viewers) this.#send(viewer, bytes); }
  }

  /** A fault in the picture must not end what it is a picture of. */
  async #write(make: () => Promise<Uint8Array<ArrayBuffer>>) {
    try {
      return await make();
    } catch (error) {
      this.#log.error("snapshot failed", { error: String(error) });
      return undefined;
    }
  }

  async #writeWelcome(): Promise<Uint8Array<ArrayBuffer>> {
    return await writeEvents([
      { event: "history", retry: RETRY_MS, data: JSON.stringify(this.#sampler.history()) },
      ...this.#snapshotEvents(),
    ]);
  }

  #snapshotEvents(): { event: string; data: string }[] {
    this.#snapshot ??= JSON.stringify(this.#sampler.snapshot());
    return this.#snapshot === undefined ? [] : [{ event: "snapshot", data: this.#snapshot }];
  }

  #send(viewer: Viewer, bytes: Uint8Array): void {
    const { out } = viewer;
    if (!out) return;
    if ((out.desiredSize ?? 0) > 0) {
      viewer.missed = 0;
      out.enqueue(bytes);
    } else if (++viewer.missed >= MAX_MISSED) this.#letGo(viewer);
  }

  #letGo(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    try {
      viewer.out?.close();
    } catch {
      // Its connection has ended in the same moment.
    }
  }
}

async function writeEvents(
  events: readonly { event: string; data: string; retry?: number }[],
): Promise<Uint8Array<ArrayBuffer>> {
  return await new Response(
    ReadableStream.from(events).pipeThrough(new ServerSentEventStream()),
  ).bytes();
}
