/**
 * A bounded first-in-first-out channel, read as an async iterator by any number of readers.
 *
 * - `offer` says no when the channel is full; it never waits and never drops.
 * - `add` lets in whatever the bound, for a caller that minds it.
 * - `putBack` takes what was already let in, whatever the bound, and hands it out first.
 * - Each item goes to exactly one reader; a reader that waits is served before the buffer.
 * - After `close` nothing is let in; readers get what is left and then end.
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  /** Items let in, oldest at `#head`; cells before it are spent. */
  #items: (T | undefined)[] = [];
  #head = 0;
  /** Items put back, the next one last. */
  readonly #returned: T[] = [];
  readonly #readers: ((item: T | undefined) => void)[] = [];
  #closed = false;

  /** @param capacity how many items may wait */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many items wait. */
  get depth(): number {
    return this.#items.length - this.#head + this.#returned.length;
  }

  /** Lets an item in at the end; false when the channel is full or closed. */
  offer(item: T): boolean {
    if (this.#closed || this.depth >= this.#capacity) return false;
    this.add(item);
    return true;
  }

  /** Lets an item in at the end. */
  add(item: T): void {
    const reader = this.#readers.pop();
    if (reader) reader(item);
    else this.#items.push(item);
  }

  /** Puts an item that was taken before back at the front; also after `close`. */
  putBack(item: T): void {
    const reader = this.#readers.pop();
    if (reader) reader(item);
    else this.#returned.push(item);
  }

  /** Takes the next item without waiting; undefined when none waits. */
  poll(): T | undefined {
    if (this.#returned.length > 0) return this.#returned.pop();
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes the next item, waiting for one; undefined when the channel is closed and empty. */
  take(): Promise<T | undefined> {
    const item = this.poll();
    if (item !== undefined || this.#closed) return Promise.resolve(item);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** Lets nothing more in; waiting readers end. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers.splice(0)) reader(undefined);
  }

  /** Each reader's own iterator; all draw on the same items. */
  [Symbol.asyncIterator](): AsyncIterator<T, void> {
    // By hand: a generator would put four more promises between an item and its reader.
    return {
      next: async (): Promise<IteratorResult<T, void>> => {
        const value = await this.take();
        return value === undefined
          ? { done: true, value: undefined }
          : { done: false, value: value as T };
      },
    };
  }
}
