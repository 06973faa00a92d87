/** Reads a request's body to the end, within a bound. */

/** A body beyond the bound. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/** @throws {BodyTooLarge} */
export async function readBody(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const announced = request.headers.get("content-length");
  if (Number(announced) > maxBytes) throw new BodyTooLarge(tooLarge(maxBytes));
  if (announced !== null || request.body === null) return await request.bytes();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  for await (const chunk of request.body) {
    total += chunk.length;
    if (total > maxBytes) throw new BodyTooLarge(tooLarge(maxBytes));
    chunks.push(chunk);
  }
  return await new Blob(chunks).bytes();
}

function tooLarge(maxBytes: number): string {
  return `Cannot read the body: it is larger than ${maxBytes} bytes`;
}
