/**
 * `distributor top`: watches the events of a distributor, here or elsewhere, and draws each.
 *
 * On a terminal it goes on until it is stopped, through restarts of what it watches; elsewhere it
 * draws one picture and ends.
 */

import { type Clock, sleep } from "../clock.ts";
import type { History, Point, Snapshot } from "../dashboard/snapshot.ts";
import { readEvents, type ReceivedEvent } from "./events.ts";
import { drawPicture, type Look } from "./picture.ts";

const RETRY_MS = 1000;
/** Actual shares are over so many seconds. */
const RECENT_SECONDS = 5;

export interface TopDoors {
  /** The distributor's address: `http://127.0.0.1:8080`. */
  readonly source: string;
  /** Opens the stream. */
  readonly open: (url: string) => Promise<Response>;
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

/** Whether it is done. */
async function watchOnce(doors: TopDoors): Promise<boolean> {
  const response = await doors.open(`${doors.source}/api/v1/events`);
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`it answers ${response.status}`);
  }
  let recent: Point[] = [];
  for await (const event of readEvents(response.body)) {
    recent = [...recent, ...pointsOf(event)].slice(-RECENT_SECONDS);
    if (event.name !== "snapshot") continue;
    const snapshot = JSON.parse(event.data) as Snapshot;
    const lines = drawPicture(snapshot, { recent, look: doors.look(), source: doors.source });
    if (!doors.isTerminal) {
      doors.write(`${lines.join("\n")}\n`);
      return true;
    }
    drawOver(doors, lines);
  }
  return false;
}

function pointsOf({ name, data }: ReceivedEvent): readonly Point[] {
  if (name === "history") return (JSON.parse(data) as History).points.slice(-RECENT_SECONDS);
  return name === "snapshot" ? [(JSON.parse(data) as Snapshot).point] : [];
}

/** In place, so that nothing flickers. */
function drawOver({ write }: TopDoors, lines: readonly string[]): void {
  write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
}
