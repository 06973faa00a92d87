/** Packets whose every byte follows from their id, so that what arrives can be compared. */

/** About as much as a log packet of a few lines. */
const PADDING = "0123456789abcdef".repeat(56);
/** What JSON.parse would change: it must come through all the same. */
const DELICATE = '"big":12345678901234567890,"twice":1,"twice":2';
const APPENDED = /^,"received_at":"[^"]{20,40}"\}$/;

/** The body of the packet with that id: one message, about 1 KiB. */
export function bodyOf(id: string): string {
  return `{"packet_id":"${id}","log_messages":[{"level":"INFO","message":"${PADDING}"}],${DELICATE}}`;
}

/** Reads the id out of a packet as an analyzer got it; "" where there is none. */
export function idOf(text: string): string {
  return /^\{"packet_id":"([^"]*)"/.exec(text)?.[1] ?? "";
}

/** Whether these are the bytes that were sent, and the time of arrival appended. */
export function isUnchanged(text: string): boolean {
  const sent = bodyOf(idOf(text)).slice(0, -1);
  return text.startsWith(sent) && APPENDED.test(text.slice(sent.length));
}
