/** Viewers of the dashboard's stream, each of which reads what it is sent. */

const AT_ONCE = 20;

export interface Viewers {
  /** Ends all; returns how many had been cut off, or had seen nothing. */
  close(): Promise<number>;
}

class Viewer {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #watching: Promise<void>;
  #seen = 0;
  #isCut = false;
  #isLeaving = false;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
    this.#watching = this.#watch();
  }

  /** Whether it was there until now, and saw something. */
  async leave(): Promise<boolean> {
    this.#isLeaving = true;
    await this.#reader.cancel();
    await this.#watching;
    return !this.#isCut && this.#seen > 0;
  }

  async #watch(): Promise<void> {
    while (!(await this.#reader.read()).done) this.#seen++;
    this.#isCut = !this.#isLeaving;
  }
}

/** Opens so many streams. */
export async function openViewers(url: string, count: number): Promise<Viewers> {
  const viewers: Viewer[] = [];
  while (viewers.length < count) {
    const some = Math.min(AT_ONCE, count - viewers.length);
    viewers.push(...await Promise.all(Array.from({ length: some }, () => open(url))));
  }
  return {
    async close() {
      const stayed = await Promise.all(viewers.map((viewer) => viewer.leave()));
      return stayed.filter((isThere) => !isThere).length;
    },
  };
}

async function open(url: string): Promise<Viewer> {
  const response = await fetch(`${url}/api/v1/events`);
  if (!response.ok || !response.body) throw new Error(`Cannot watch: ${response.status}`);
  return new Viewer(response.body);
}
