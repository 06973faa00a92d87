/**
 * An ingest thread: listens on the open port beside the main thread, reads and scans packets, and
 * hands them over. Whatever else is asked of it, the main thread answers.
 *
 * The entry of a Web Worker. It owns no packet, and keeps no count.
 */

import { systemClock } from "../clock.ts";
import { Discarder } from "../discard.ts";
import { createFront } from "../front.ts";
import { createIngest } from "../ingest.ts";
import { randomId } from "../random.ts";
import { Server } from "../server.ts";
import { Commons } from "./commons.ts";
import { Link } from "./link.ts";
import type { ThreadStart, ToMain, ToThread } from "./messages.ts";
import { Relay } from "./relay.ts";

/** The types of a window, which the rest of the program has, lack it. */
const scope = self as unknown as {
  postMessage(message: ToMain, transfer?: Transferable[]): void;
};

class IngestThread {
  readonly #link: Link;
  readonly #relay: Relay;
  readonly #server: Server;

  constructor(start: ThreadStart) {
    const commons = new Commons(start.commons, start.capacityBytes);
    const link = new Link(start, {
      commons,
      clock: systemClock,
      post: (bundle, transfer) => scope.postMessage({ kind: "bundle", bundle }, transfer),
    });
    const relay = new Relay((request, transfer) =>
      scope.postMessage({ kind: "relay", request }, transfer)
    );
    const ingest = createIngest({
      queue: link,
      metrics: link,
      instruments: link,
      clock: systemClock,
      discarder: new Discarder(systemClock),
      log: link.log,
      newId: randomId,
      maxBodyBytes: start.maxBodyBytes,
      isOpen: () => commons.isOpen,
    });
    this.#link = link;
    this.#relay = relay;
    const front = createFront({
      ingest: (request) => answerCounted(ingest(request), link),
      rest: (request) => relay.forward(request),
    });
    this.#server = new Server(front, {
      address: start.address,
      clock: systemClock,
      log: link.log,
      sharing: "further",
    });
  }

  receive(message: Exclude<ToThread, { kind: "start" }>): void {
    if (message.kind === "answers") this.#link.receive(message.answers);
    else if (message.kind === "relayed") this.#relay.receive(message.answer);
    else void this.#server.close().then(() => scope.postMessage({ kind: "closed" }));
  }
}

async function answerCounted(answer: Promise<Response>, link: Link): Promise<Response> {
  const response = await answer;
  if (!response.ok) await link.counted();
  return response;
}

let thread: IngestThread | undefined;
addEventListener("message", (event) => {
  const message = (event as MessageEvent<ToThread>).data;
  if (message.kind !== "start") return thread?.receive(message);
  thread = new IngestThread(message.start);
  scope.postMessage({ kind: "listening" });
});
