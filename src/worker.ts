/**
 * The fixed set of workers: each pulls packets from the channel, draws an analyzer for each, and
 * hands it to that analyzer's lane.
 *
 * A worker never waits for an answer, so an analyzer that hangs holds nobody up; it waits only
 * while no analyzer is eligible, and that costs its packet no attempt.
 */

import type { Analyzer } from "./analyzer.ts";
import { Lane, type LaneDoors } from "./lane.ts";
import type { Packet } from "./packet.ts";

/** The lanes of all analyzers, made as they are drawn. */
export class Lanes {
  readonly #doors: LaneDoors;
  readonly #lanes = new WeakMap<Analyzer, Lane>();

  constructor(doors: LaneDoors) {
    this.#doors = doors;
    doors.registry.onWithdrawn((analyzer) => this.#lanes.get(analyzer)?.withdraw());
  }

  of(analyzer: Analyzer): Lane {
    let lane = this.#lanes.get(analyzer);
    if (!lane) {
      lane = new Lane(analyzer, this.#doors);
      this.#lanes.set(analyzer, lane);
    }
    return lane;
  }
}

/**
 * Starts the workers.
 *
 * @returns resolves when the distributor has stopped and the channel is closed
 */
export async function runWorkers(
  count: number,
  options: { lanes: Lanes; doors: LaneDoors },
): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => runWorker(options)));
}

async function runWorker({ lanes, doors }: { lanes: Lanes; doors: LaneDoors }): Promise<void> {
  const { queue, registry, isStopped } = doors;
  for await (const first of queue.channel) {
    let packet: Packet | undefined = first;
    // Whatever else waits is taken along, without going through the event loop for each.
    while (packet !== undefined) {
      const analyzer = isStopped() ? undefined : registry.draw(packet);
      if (analyzer !== undefined) lanes.of(analyzer).send(packet);
      else {
        queue.putBack(packet);
        if (isStopped()) return;
        await registry.eligibleAgain();
      }
      packet = queue.channel.poll();
    }
  }
}
