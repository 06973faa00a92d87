/** Which analyzers have failed requests lately, from counts that only grow. */

const RECENT_SECONDS = 10;

export class Failures {
  /** By id, the counts of the last seconds: `{n, count}`, oldest first. */
  #counts = new Map();
  #boot;

  /** Notes a snapshot's counts; a distributor that has started again counts anew. */
  note({ boot, point: { n }, state: { analyzers } }) {
    if (boot !== this.#boot) this.#counts.clear();
    this.#boot = boot;
    const present = new Set(analyzers.map(({ id }) => id));
    for (const id of this.#counts.keys()) if (!present.has(id)) this.#counts.delete(id);
    for (const { id, failures } of analyzers) {
      const counts = this.#counts.get(id) ?? [];
      const count = Object.values(failures).reduce((sum, one) => sum + one, 0);
      // One that was removed and has come back begins at 0.
      if (count < (counts.at(-1)?.count ?? 0)) counts.length = 0;
      counts.push({ n, count });
      while (counts[0].n < n - RECENT_SECONDS) counts.shift();
      this.#counts.set(id, counts);
    }
  }

  /** Requests of the last seconds that failed. */
  recent(id) {
    const counts = this.#counts.get(id);
    return counts ? counts.at(-1).count - counts[0].count : 0;
  }
}
