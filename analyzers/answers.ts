/** Answers that are not a success, as RFC 9457 problems. */

import type { Hono } from "@hono/hono";

/** Extra members and headers of a problem. */
export interface ProblemOptions {
  readonly members?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
}

export function answerProblem(
  status: number,
  detail: string,
  { members = {}, headers = {} }: ProblemOptions = {},
): Response {
  return Response.json({ title: "Request not processed", status, detail, ...members }, {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

/** Answers 405 to the methods that no route before has taken. */
export function allowOnly(app: Hono, path: string, methods: string): void {
  app.all(
    path,
    (context) =>
      answerProblem(405, `${path} takes ${methods}, not ${context.req.method}`, {
        headers: { allow: methods },
      }),
  );
}
