/**
 * Keeps a mock analyzer registered at a distributor, through restarts of either.
 *
 * Called by `main.ts`. Always true: one line per change of state, however many tries it takes.
 *
 *   unknown --POST 2xx--> registered --GET 404--> forgotten --POST 2xx--> registered
 *   any --no answer--> unreachable --answer--> as above; any --other answer--> refused
 */

import { type Clock, sleep, systemClock } from "../src/clock.ts";
import { type Random, systemRandom } from "../src/random.ts";

/** What is registered where, and how. */
export interface RegistrationOptions {
  readonly distributorUrl: string;
  readonly analyzer: { readonly id: string; readonly url: string; readonly weight: number };
  /** Told of each change of state. */
  readonly report: (line: string) => void;
  /** Between two looks whether the distributor still knows it. @default 5000 */
  readonly intervalMs?: number;
  /** @default systemClock */
  readonly clock?: Clock;
  /** @default systemRandom */
  readonly random?: Random;
}

/** A running registration. */
export interface Registration {
  /** Ends it and removes the analyzer from the distributor, within four seconds. */
  end(): Promise<void>;
}

type State = "unknown" | "registered" | "forgotten" | "unreachable" | "refused";

const REQUEST_TIMEOUT_MS = 2000;
const FIRST_RETRY_MS = 100;

/** Starts to register, in the background. */
export function startRegistration(options: RegistrationOptions): Registration {
  return new Loop(options);
}

class Loop implements Registration {
  readonly #options: RegistrationOptions;
  readonly #collectionUrl: string;
  readonly #itemUrl: string;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #state: State = "unknown";
  #isKnown = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#collectionUrl = `${options.distributorUrl.replace(/\/+$/, "")}/api/v1/analyzers`;
    this.#itemUrl = `${this.#collectionUrl}/${options.analyzer.id}`;
    this.#intervalMs = options.intervalMs ?? 5000;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#ended;
    try {
      if (!await this.#isOwn()) return;
      const { status } = await this.#request(this.#itemUrl, { method: "DELETE" });
      if (status >= 300 && status !== 404) throw new Error(`it answered ${status}`);
    } catch (error) {
      const { id } = this.#options.analyzer;
      this.#options.report(`${id} could not be deregistered: ${explain(error)}`);
    }
  }

  /** Whether the id still leads here: in a rolling restart a successor has taken it over. */
  async #isOwn(): Promise<boolean> {
    const { status, text } = await this.#request(this.#itemUrl, { method: "GET" });
    if (status === 404) return false;
    if (status !== 200) throw new Error(`it answered ${status}`);
    return normalUrl(JSON.parse(text).url) === normalUrl(this.#options.analyzer.url);
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      failures = await this.#settle() ? 0 : failures + 1;
      const backoffMs = FIRST_RETRY_MS * 2 ** failures * (0.5 + this.#random() / 2);
      const delayMs = failures === 0 ? this.#intervalMs : Math.min(this.#intervalMs, backoffMs);
      await sleep(delayMs, this.#clock, signal);
    }
  }

  /** Brings the distributor to know the analyzer; false if that has to be tried again. */
  async #settle(): Promise<boolean> {
    const { signal } = this.#ending;
    const { id, url, weight } = this.#options.analyzer;
    const at = this.#options.distributorUrl;
    try {
      if (this.#isKnown) {
        const { status } = await this.#request(this.#itemUrl, { method: "GET", signal });
        if (status !== 404) return this.#conclude(status);
        this.#isKnown = false;
        this.#enter("forgotten", `${id} is not known at ${at} any more: registering again`);
      }
      const { status } = await this.#request(this.#collectionUrl, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ id, url, weight }),
        signal,
      });
      return this.#conclude(status);
    } catch (error) {
      if (!signal.aborted) {
        this.#enter("unreachable", `${id} cannot reach ${at}: ${explain(error)}; trying again`);
      }
      return false;
    }
  }

  #conclude(status: number): boolean {
    const { id, url, weight } = this.#options.analyzer;
    const at = this.#options.distributorUrl;
    const accepted = status >= 200 && status < 300;
    if (accepted) {
      this.#isKnown = true;
      this.#enter("registered", `${id} is registered at ${at} as ${url} (weight ${weight})`);
    } else {
      this.#enter("refused", `${id} is refused by ${at}: it answered ${status}; trying again`);
    }
    return accepted;
  }

  #enter(state: State, line: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.report(line);
  }

  /** Makes one request within its deadline. */
  async #request(
    url: string,
    init: RequestInit & { signal?: AbortSignal },
  ): Promise<{ status: number; text: string }> {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    const cancel = this.#clock.after(
      REQUEST_TIMEOUT_MS,
      () => attempt.abort(new Error(`no answer in ${REQUEST_TIMEOUT_MS} ms`)),
    );
    init.signal?.addEventListener("abort", abort);
    try {
      const response = await fetch(url, { ...init, signal: attempt.signal, redirect: "manual" });
      return { status: response.status, text: await response.text() };
    } finally {
      cancel();
      init.signal?.removeEventListener("abort", abort);
    }
  }
}

/** A URL as the distributor shows it. */
function normalUrl(text: string): string {
  return new URL(text).href.replace(/\/+$/, "");
}

/** The system's own words at the end of a fetch error: `Connection refused`. */
function explain(error: unknown): string {
  const { cause, message } = error as Error;
  const text = cause instanceof Error ? cause.message : message;
  return /([^:]+) \(os error \d+\)$/.exec(text)?.[1]?.trim() ?? text;
}
