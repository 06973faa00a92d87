/**
 * `/stats` and `/faults`: what the mock analyzer has counted, and its fault knobs.
 *
 * On the analyzer's own port and, where there is one, on the control port. No fault befalls them.
 */

import type { Context, Hono } from "@hono/hono";
import { allowOnly, answerProblem } from "./answers.ts";
import { KnobError, type Knobs, readKnobs, writeKnobs } from "./faults.ts";
import type { Stats } from "./tally.ts";

/** Turns faults on and off; each change resolves when the port is open or closed accordingly. */
export interface FaultControl {
  read(): Knobs;
  /** Changes the knobs that are named; durations are in milliseconds. */
  set(change: Partial<Knobs>): Promise<void>;
  clear(): Promise<void>;
}

/** What the routes read and change. */
export interface Controlled {
  readonly faults: FaultControl;
  stats(): Stats;
  resetStats(): void;
  ids(): Map<string, number>;
}

/** Adds the routes; `mayRefuse` is whether the port outlives the knob that closes the other. */
export function addControl(
  app: Hono,
  { analyzer, mayRefuse }: { analyzer: Controlled; mayRefuse: boolean },
): Hono {
  const answerKnobs = () => Response.json(writeKnobs(analyzer.faults.read()));
  app.get("/stats", (context) => {
    const ids = context.req.query("ids") === "1" ? Object.fromEntries(analyzer.ids()) : undefined;
    return Response.json({ ...analyzer.stats(), ids });
  });
  app.delete("/stats", () => {
    analyzer.resetStats();
    return Response.json(analyzer.stats());
  });
  app.get("/faults", answerKnobs);
  app.patch("/faults", async (context) => {
    const change = await readChange(context);
    if (change instanceof Response) return change;
    if (change.refuse && !mayRefuse) {
      return answerProblem(
        409,
        'Cannot turn on "refuse" here: this port would close too; start with --control-port',
      );
    }
    await analyzer.faults.set(change);
    return answerKnobs();
  });
  app.delete("/faults", async () => {
    await analyzer.faults.clear();
    return answerKnobs();
  });
  allowOnly(app, "/stats", "GET, HEAD, DELETE");
  allowOnly(app, "/faults", "GET, HEAD, PATCH, DELETE");
  app.notFound((context) => answerProblem(404, `Nothing is at ${context.req.path}`));
  return app;
}

async function readChange(context: Context): Promise<Partial<Knobs> | Response> {
  try {
    return readKnobs(JSON.parse(await context.req.text()));
  } catch (error) {
    if (!(error instanceof KnobError)) {
      return answerProblem(400, `Cannot read the knobs: ${(error as Error).message}`);
    }
    const { knob, allowed, message } = error;
    return answerProblem(422, message, { members: { knob, allowed } });
  }
}
