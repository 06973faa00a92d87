/** Server-sent events out of a stream of bytes. */

import { parseEvents } from "../dashboard/client/events.js";

export interface ReceivedEvent {
  readonly name: string;
  /** As its JSON has it. */
  readonly data: unknown;
}

/** Yields each complete event; what is cut off at the end is dropped, as the standard has it. */
export async function* readEvents(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<ReceivedEvent> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const events: ReceivedEvent[] = [];
    rest = parseEvents(rest + text, (name: string, data: unknown) => events.push({ name, data }));
    yield* events;
  }
}
