/**
 * The seconds that the charts show: bounded, in order, each second once.
 *
 * A second that is missing (no connection) leaves a gap, so that no line is drawn across it.
 */

const MAX_SECONDS = 300;
/** Shares are shown over so many seconds: short enough to follow a change at once. */
const SHARE_SECONDS = 5;

export class Series {
  #points = [];

  get points() {
    return this.#points;
  }

  /** Adds a point, unless its second is there already or past. */
  add(point) {
    const last = this.#points.at(-1);
    if (last && point.t <= last.t) return;
    this.#points.push(point);
    const oldest = point.t - MAX_SECONDS;
    let stale = 0;
    while (this.#points[stale].t < oldest) stale++;
    if (stale > 0) this.#points.splice(0, stale);
  }

  /** Adds what is not known yet. */
  addAll(points) {
    for (const point of points) this.add(point);
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

  /** Each analyzer's part of the messages of the last seconds; undefined when there were none. */
  shares() {
    const last = this.#points.at(-1);
    if (!last) return undefined;
    const sums = new Map();
    let total = 0;
    for (let i = this.#points.length - 1; i >= 0; i--) {
      const { t, by } = this.#points[i];
      if (t <= last.t - SHARE_SECONDS) break;
      for (const [id, messages] of Object.entries(by)) {
        sums.set(id, (sums.get(id) ?? 0) + messages);
        total += messages;
      }
    }
    if (total === 0) return undefined;
    return new Map([...sums].map(([id, messages]) => [id, messages / total]));
  }
}
