/**
 * Server-sent events: one snapshot a second, written once whatever the number of viewers.
 *
 * Always true: a viewer that does not read holds a few events, and misses those in between.
 */

import { ServerSentEventStream } from "@std/http/server-sent-event-stream";
import type { Clock } from "../clock.ts";
import { ApiError } from "../errors.ts";
import type { Sampler } from "./snapshot.ts";

export const MAX_VIEWERS = 500;
const TICK_MS = 1000;
/** Events that a viewer may be behind before it misses some. */
const MAX_BEHIND = 4;
/** How soon a page that lost the stream should come back. */
const RETRY_MS = 1000;

type Viewer = ReadableStreamDefaultController<Uint8Array>;

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
  readonly #viewers = new Set<Viewer>();
  #cancelTick: () => void;
  #dueMs: number;
  #isClosed = false;

  constructor(sampler: Sampler, clock: Clock) {
    this.#sampler = sampler;
    this.#clock = clock;
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
  async open(): Promise<Response> {
    if (this.#isClosed) {
      throw new ApiError("DRAINING", "The distributor is shutting down", { "retry-after": "1" });
    }
    if (this.#viewers.size >= MAX_VIEWERS) {
      throw new ApiError("TOO_MANY_VIEWERS", `${MAX_VIEWERS} watch already: try again later`, {
        "retry-after": "5",
      });
    }
    let own: Viewer | undefined;
    let isGone = false;
    const stream = new ReadableStream<Uint8Array>({
      start: (viewer) => {
        own = viewer;
      },
      cancel: () => {
        isGone = true;
        this.#viewers.delete(own!);
      },
    }, { highWaterMark: MAX_BEHIND });
    const first = await writeEvents([
      { event: "history", retry: RETRY_MS, data: JSON.stringify(this.#sampler.history()) },
      ...this.#snapshotEvents(),
    ]);
    // Not before its history: what came first would look older than it.
    if (!isGone && !this.#isClosed) {
      this.#viewers.add(own!);
      this.#send(own!, first);
    }
    return new Response(stream, { headers: STREAM_HEADERS });
  }

  /** Ends all streams. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTick();
    for (const viewer of this.#viewers) {
      this.#viewers.delete(viewer);
      try {
        viewer.close();
      } catch {
        // Its connection has ended in the same moment.
      }
    }
  }

  #tick(): void {
    // Held to the whole second: else the ticks' own delays would add up.
    const nowMs = this.#clock.monotonicMs();
    this.#dueMs = Math.max(this.#dueMs + TICK_MS, nowMs);
    this.#cancelTick = this.#clock.after(this.#dueMs - nowMs, () => this.#tick());
    this.#sampler.turn();
    if (this.#viewers.size > 0) void this.#broadcast();
  }

  async #broadcast(): Promise<void> {
    const bytes = await writeEvents(this.#snapshotEvents());
    for (const viewer of this.#viewers) this.#send(viewer, bytes);
  }

  #snapshotEvents(): { event: string; data: string }[] {
    const snapshot = this.#sampler.snapshot();
    return snapshot ? [{ event: "snapshot", data: JSON.stringify(snapshot) }] : [];
  }

  #send(viewer: Viewer, bytes: Uint8Array): void {
    try {
      if ((viewer.desiredSize ?? 0) > 0) viewer.enqueue(bytes);
    } catch {
      this.#viewers.delete(viewer);
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
