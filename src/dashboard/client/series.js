/**
 * The last minutes, second by second, as the stream tells them.
 *
 * Always in order and without doubles, whatever the stream repeats after a reconnect: seconds are
 * told apart by the distributor's start and its count, and not by a clock that may be set. A gap
 * stays a gap, so that no line is drawn across it.
 */

import { byName } from "./format.js";

const MAX_SECONDS = 300;
/** Shares are shown over so many seconds: short enough to follow a change at once. */
export const SHARE_SECONDS = 5;
/** With fewer packets in that time, a packet more or less would move them by percents. */
const SHARE_PACKETS = 50;
/** So many analyzers are charted; of the others only the last seconds are kept. */
export const MAX_CHARTED = 8;

export class Series {
  #points = [];
  #boot;
  #charted = [];

  get points() {
    return this.#points;
  }

  /** The ids of those that are charted, by name. */
  get charted() {
    return this.#charted;
  }

  /** Charts some of these analyzers. */
  chart(analyzers) {
    this.#charted = chooseCharted(analyzers).sort(byName);
  }

  /** Whether something was delivered in the last seconds, as far back as they go. */
  get flows() {
    return this.#points.length < SHARE_SECONDS ||
      this.#points.slice(-SHARE_SECONDS).some(({ delivered }) => delivered > 0);
  }

  /** Takes over a history: what it does not go back to stays as it was seen. */
  restart({ boot, points }) {
    const first = points[0]?.t ?? Infinity;
    this.#points = this.#points.filter(({ t }) => t < first);
    this.#boot = boot;
    for (const point of points) this.#push(point);
  }

  /** Adds the newest second of a start, unless it is there already. */
  add({ boot, point }) {
    const last = this.#points.at(-1);
    if (boot === this.#boot && last && point.n <= last.n) return;
    this.#boot = boot;
    this.#push(point);
    const old = this.#points.at(-1 - SHARE_SECONDS);
    if (old) old.by = this.#chartedOf(old.by);
  }

  #push(point) {
    const points = this.#points;
    // A clock that was set back: what lies ahead of it now is no past.
    while (points.length > 0 && points.at(-1).t >= point.t) points.pop();
    points.push(point);
    const stale = points.findIndex(({ t }) => t >= point.t - MAX_SECONDS);
    if (stale > 0) points.splice(0, stale);
  }

  #chartedOf(by) {
    const known = this.#charted.filter((id) => Object.hasOwn(by, id));
    return Object.fromEntries(known.map((id) => [id, by[id]]));
  }

  /** Columns for a chart: times, then one array a name; null where nothing is known. */
  columns(reads) {
    const columns = [[], ...reads.map(() => [])];
    let before;
    for (const point of this.#points) {
      if (before !== undefined && point.t - before > 3) {
        columns[0].push(before + 1);
        for (let i = 1; i < columns.length; i++) columns[i].push(null);
      }
      columns[0].push(point.t);
      reads.forEach((read, i) => columns[i + 1].push(read(point) ?? null));
      before = point.t;
    }
    return columns;
  }

  /**
   * Each analyzer's part of the messages delivered in the last seconds; undefined when too few
   * packets came to tell.
   */
  shares() {
    const since = (this.#points.at(-1)?.t ?? 0) - SHARE_SECONDS - 0.5;
    const recent = this.#points.slice(-SHARE_SECONDS).filter(({ t }) => t > since);
    if (recent.reduce((sum, { packets }) => sum + packets, 0) < SHARE_PACKETS) return undefined;
    const sums = new Map();
    let total = 0;
    for (const { by } of recent) {
      for (const [id, messages] of Object.entries(by)) {
        sums.set(id, (sums.get(id) ?? 0) + messages);
        total += messages;
      }
    }
    if (total === 0) return undefined;
    return new Map([...sums].map(([id, messages]) => [id, messages / total]));
  }
}

/**
 * An analyzer's share of the last seconds; where they do not tell, of the last minute, but of one
 * that gets nothing now.
 *
 * @param shares as {@link Series.shares} has them
 */
export function shownShare({ id, share }, shares) {
  if (shares) return shares.get(id) ?? 0;
  return share.target === 0 ? undefined : share.actual;
}

/** The ids of those to chart: all, or those with the most weight. */
export function chooseCharted(analyzers) {
  const byWeight = analyzers.toSorted((a, b) => b.weight - a.weight || byName(a.id, b.id));
  return byWeight.slice(0, MAX_CHARTED).map(({ id }) => id);
}
