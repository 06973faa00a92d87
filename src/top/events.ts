/** Server-sent events out of a stream of bytes. */

export interface ReceivedEvent {
  readonly name: string;
  readonly data: string;
}

/** Yields each complete event; what is cut off at the end is dropped, as the standard has it. */
export async function* readEvents(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<ReceivedEvent> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const event = readBlock(block);
      if (event) yield event;
    }
  }
}

function readBlock(block: string): ReceivedEvent | undefined {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value!;
    else if (field === "data") data.push(value!);
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}
