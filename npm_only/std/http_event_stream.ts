/** Stand-in for `@std/http/server-sent-event-stream`. */

/** One event; every field is optional. */
export interface ServerSentEventMessage {
  /** Not shown to the page. */
  comment?: string;
  event?: string;
  data?: string;
  id?: string | number;
  /** Milliseconds until the client reconnects. */
  retry?: number;
}

const NEWLINE = /\r\n|\r|\n/;

function refuseNewline(text: string, name: string): string {
  if (NEWLINE.test(text)) throw new SyntaxError(`Cannot write event: ${name} has a newline`);
  return text;
}

function writeEvent(message: ServerSentEventMessage): string {
  const { comment, event, data, id, retry } = message;
  const lines: string[] = [];
  if (comment !== undefined) lines.push(...comment.split(NEWLINE).map((line) => `:${line}`));
  if (event !== undefined) lines.push(`event:${refuseNewline(event, "event")}`);
  if (data !== undefined) lines.push(...data.split(NEWLINE).map((line) => `data:${line}`));
  if (id !== undefined) lines.push(`id:${refuseNewline(String(id), "id")}`);
  if (retry !== undefined) lines.push(`retry:${retry}`);
  return lines.join("\n") + "\n\n";
}

/** Turns events into the bytes of a `text/event-stream`. */
export class ServerSentEventStream extends TransformStream<ServerSentEventMessage, Uint8Array> {
  constructor() {
    const encoder = new TextEncoder();
    super({
      transform(message, controller) {
        controller.enqueue(encoder.encode(writeEvent(message)));
      },
    });
  }
}
