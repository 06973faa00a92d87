/** Posts any body to ingest and lets the agent remember it if it was accepted. */

import type { System } from "./system.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

/** Posts a body as it is; `plain` is its JSON where the body itself is not text. */
export async function submit(
  { url, agent }: System,
  body: Body,
  { headers = {}, plain }: { headers?: Record<string, string>; plain?: string } = {},
): Promise<Answer> {
  const response = await fetch(`${url}/api/v1/logs`, {
    method: "POST",
    // A Blob without a type lets no Content-Type through but the one asked for.
    body: body instanceof ReadableStream ? body : new Blob([body]),
    headers,
  });
  const json = await response.json();
  if (response.status === 202) {
    agent.attempted.add(json.packet_id);
    const text = plain ?? (typeof body === "string" ? body : "");
    agent.acknowledged.set(json.packet_id, JSON.parse(text).log_messages.length);
  }
  return { status: response.status, headers: response.headers, json };
}
