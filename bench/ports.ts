/** Free loopback ports, none given out twice. */

import { choosePort } from "../demo/ports.ts";

const FIRST_PORT = 21_000;

export class Ports {
  readonly #taken = new Set<number>();

  /** A port on which nothing listens. */
  next(): number {
    const port = choosePort(FIRST_PORT + this.#taken.size, this.#taken);
    this.#taken.add(port);
    return port;
  }

  /** Several at once. */
  list(count: number): number[] {
    return Array.from({ length: count }, () => this.next());
  }
}
