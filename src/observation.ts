/**
 * What operators watch the distributor by: `/metrics`, the stream of events, and the page.
 *
 * Built and closed by the distributor; reads snapshots that are handed in, and changes nothing.
 */

import type { Hono } from "@hono/hono";
import type { Clock } from "./clock.ts";
import { addPageRoutes } from "./dashboard/page.ts";
import { Sampler } from "./dashboard/snapshot.ts";
import { EventStream, STREAM_HEADERS } from "./dashboard/stream.ts";
import { EXPOSITION_TYPE } from "./exposition.ts";
import { type Instruments, watchLoopLag } from "./instruments.ts";
import type { Log } from "./log.ts";
import type { MetricsView } from "./metrics.ts";
import { type StateGlance, writeMetrics } from "./metrics_text.ts";
import { readProcessUsage } from "./process_usage.ts";
import type { Warning } from "./warnings.ts";

export interface ObservationDoors {
  readonly instruments: Instruments;
  readonly clock: Clock;
  readonly log: Log;
  /** Everything that is counted, percentiles included. */
  readonly state: () => MetricsView;
  /** The same without them, for every second and every scrape. */
  readonly glance: () => StateGlance;
  /** Why the distributor is not ready, or undefined. */
  readonly unready: () => string | undefined;
  readonly warnings: () => readonly Warning[];
  /** Another one with each start. */
  readonly boot: string;
}

export class Observation {
  readonly #doors: ObservationDoors;
  readonly #events: EventStream;
  readonly #stopLag: () => void;
  readonly #startedAt: number;

  constructor(doors: ObservationDoors) {
    this.#doors = doors;
    this.#startedAt = Math.floor(doors.clock.wallMs() / 1000);
    const memoryBytes = () => Deno.memoryUsage().rss;
    this.#events = new EventStream(new Sampler({ ...doors, memoryBytes }), doors);
    this.#stopLag = watchLoopLag(doors.instruments.loopLag, doors.clock);
  }

  addRoutes(app: Hono): void {
    app.get("/metrics", () => {
      return new Response(this.#writeMetrics(), { headers: { "content-type": EXPOSITION_TYPE } });
    });
    // A HEAD is answered by the same route, and nobody would read its stream.
    app.get(
      "/api/v1/events",
      ({ req }) =>
        req.method === "HEAD"
          ? new Response(null, { headers: STREAM_HEADERS })
          : this.#events.open(),
    );
    addPageRoutes(app);
  }

  /** Ends the streams and all timers. */
  close(): void {
    this.#events.close();
    this.#stopLag();
  }

  #writeMetrics(): Uint8Array<ArrayBuffer> {
    return writeMetrics({
      state: this.#doors.glance(),
      instruments: this.#doors.instruments,
      usage: readProcessUsage(),
      isReady: this.#doors.unready() === undefined,
      viewers: this.#events.viewers,
      startedAt: this.#startedAt,
      runtime: `deno ${Deno.version.deno}`,
    });
  }
}
