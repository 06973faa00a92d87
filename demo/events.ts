/** Turns the distributor's log lines into sentences of the story. */

/** Returns what a line of its JSON log means to a spectator; undefined when nothing. */
export function describeEvent(line: string): string | undefined {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { level, event, id, reason } = entry;
  switch (event) {
    case "analyzer ejected":
      return `${id} is ejected: ${reason}`;
    case "analyzer probation":
      return `${id} is on probation: ${reason}`;
    case "analyzer healthy":
      return `${id} is healthy: ${reason}; slow start begins`;
  }
  if (level !== "warn" && level !== "error") return undefined;
  const detail = entry["detail"] ?? entry["error"] ?? reason;
  return detail === undefined ? `${event}` : `${event}: ${detail}`;
}
