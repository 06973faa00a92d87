/** The doors of `distributor top`: the terminal it draws on, and the stream that it reads. */

import type { TopDoors } from "./watch.ts";

const PLAIN_COLUMNS = 120;

/** Standard output, whatever it is. */
export function terminal(): Pick<TopDoors, "open" | "isTerminal" | "look" | "write"> {
  const encoder = new TextEncoder();
  const isTerminal = Deno.stdout.isTerminal();
  return {
    isTerminal,
    open: (url, signal) => fetch(url, { headers: { accept: "text/event-stream" }, signal }),
    look: () => ({ ...sizeOf(isTerminal), color: isTerminal && !Deno.noColor }),
    write(text) {
      let rest = encoder.encode(text);
      while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
    },
  };
}

function sizeOf(isTerminal: boolean): { columns: number; rows: number } {
  const plain = { columns: PLAIN_COLUMNS, rows: Infinity };
  if (!isTerminal) return plain;
  try {
    const { columns, rows } = Deno.consoleSize();
    // The last line stays free, so that nothing scrolls.
    return { columns, rows: rows - 1 };
  } catch {
    return plain;
  }
}
