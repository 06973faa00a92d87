/** Server-sent events out of text, here and in `distributor top`. Pure. */

/** Tells of each event that is complete, `onEvent(name, data)`; returns what follows the last. */
export function parseEvents(text, onEvent) {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop();
  for (const block of blocks) {
    let name = "message";
    const data = [];
    for (const line of block.split("\n")) {
      const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
    }
    if (data.length > 0) onEvent(name, JSON.parse(data.join("\n")));
  }
  return rest;
}
