/**
 * `distributor top`: watches the events of a distributor, here or elsewhere, and draws each.
 *
 * On a terminal it goes on until it is stopped, through restarts of what it watches; elsewhere it
 * draws one picture and ends.
 */

import { type Cancel, type Clock, sleep } from "../clock.ts";
import type { Snapshot } from "../dashboard/snapshot.ts";
import { sortFetchError } from "../http_error.ts";
import { readEvents } from "./events.ts";
import { drawPicture, type Look } from "./picture.ts";

const RETRY_MS = 1000;
/** A stream that says nothing for so long is dead, though nobody has closed it. */
const SILENCE_MS = 5000;

export interface TopDoors {
  /** The distributor's address: `http://127.0.0.1:8080`. */
  readonly source: string;
  /** Opens the stream, which ends when the signal aborts. */
  readonly open: (url: string, signal: AbortSignal) => Promise<Response>;
  readonly isTerminal: boolean;
  readonly look: () => Look;
  readonly write: (text: string) => void;
  readonly clock: Clock;
}

/**
 * Draws until the first picture where there is no terminal, else for ever.
 *
 * @throws {Error} "Cannot watch …" when the distributor is not there and there is no terminal
 */
export async function watchTop(doors: TopDoors): Promise<void> {
  const { source, isTerminal, clock } = doors;
  for (;;) {
    let fault = "the stream has ended";
    try {
      if (await watchOnce(doors)) return;
    } catch (error) {
      fault = (error as Error).message;
    }
    if (!isTerminal) throw new Error(`Cannot watch ${source}: ${fault}`);
    drawOver(doors, [`Cannot watch ${source}: ${fault}`, "Trying again; Ctrl-C ends it."]);
    await sleep(RETRY_MS, clock);
  }
}

/** Gives up what has been silent for too long. */
class Silence {
  readonly #clock: Clock;
  readonly #end = new AbortController();
  #cancel: Cancel;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#cancel = this.#listen();
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Something was said. */
  broken(): void {
    this.#cancel();
    this.#cancel = this.#listen();
  }

  over(): void {
    this.#cancel();
  }

  #listen(): Cancel {
    return this.#clock.after(SILENCE_MS, () => this.#end.abort());
  }
}

/** Whether it is done. */
async function watchOnce(doors: TopDoors): Promise<boolean> {
  const silence = new Silence(doors.clock);
  try {
    return await watchUntil(silence, doors);
  } catch (error) {
    if (!silence.signal.aborted) throw error;
    throw new Error(`it has said nothing for ${SILENCE_MS / 1000} s`);
  } finally {
    silence.over();
  }
}

async function watchUntil(silence: Silence, doors: TopDoors): Promise<boolean> {
  const response = await openStream(doors, silence.signal);
  if (!response.ok || !response.body) {
    throw new Error(`it answers ${response.status}${await readDetail(response)}`);
  }
  for await (const event of readEvents(response.body)) {
    silence.broken();
    if (event.name !== "snapshot") continue;
    const lines = drawPicture(event.data as Snapshot, { look: doors.look(), source: doors.source });
    if (!doors.isTerminal) {
      doors.write(`${lines.join("\n")}\n`);
      return true;
    }
    drawOver(doors, lines);
  }
  return false;
}

/** What a problem says to do. */
async function readDetail(response: Response): Promise<string> {
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? `: ${detail}` : "";
  } catch {
    return "";
  }
}

/** @throws {Error} that says why there is no connection */
async function openStream(
  { source, open }: TopDoors,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await open(`${source}/api/v1/events`, signal);
  } catch (error) {
    const { message } = sortFetchError(error);
    if (/connection refused|os error (61|111|10061)\b/i.test(message)) {
      throw new Error("connection refused: is the distributor running there?");
    }
    throw new Error(message.replace(/^client error \(\w+\): /, ""));
  }
}

/** In place, so that nothing flickers. */
function drawOver({ write }: TopDoors, lines: readonly string[]): void {
  write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
}
