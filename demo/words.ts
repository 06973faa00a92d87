/** What the demo says before and after the story. */

import { OPTIONS as DISTRIBUTOR_OPTIONS } from "../src/config.ts";
import { ANALYZER_FLAGS, type Cast, DISTRIBUTOR_FLAGS, IDS, WEIGHTS } from "./cast.ts";
import { formatVerdict, type Screen } from "./screen.ts";
import { paint, TABLE_NOTE } from "./table.ts";
import type { Verdict } from "./verdicts.ts";

/** Says who plays, where, and what is not as usual. */
export function introduce(screen: Screen, cast: Cast): void {
  const flags = (given: Record<string, string>) => Object.entries(given).flat().join(" ");
  const defaults = [
    DISTRIBUTOR_OPTIONS.ejectionTime,
    DISTRIBUTOR_OPTIONS.slowStart,
    DISTRIBUTOR_OPTIONS.healthCheckInterval,
  ].map((option) => option.default).join(", ");
  screen.say(
    paint(
      "Weighted Log Analyzer Distributor: the demo, 40 seconds; Ctrl-C ends it",
      "bold",
      screen.look,
    ),
  );
  screen.say();
  screen.say(`  generator ──▶ distributor ──▶ ${describeAnalyzer(cast, 0)}`);
  screen.say(`                ${`:${cast.port}`.padEnd(12)}──▶ ${describeAnalyzer(cast, 1)}`);
  for (const i of [2, 3]) screen.say(`${" ".repeat(28)}──▶ ${describeAnalyzer(cast, i)}`);
  screen.say();
  const { portsTaken } = cast;
  if (portsTaken.length > 0) {
    screen.say(`  Other ports stand in for ${portsTaken.join(" ")}.`);
  }
  screen.say("  Shorter than the defaults, to fit in a minute:");
  screen.say(`    distributor ${flags(DISTRIBUTOR_FLAGS)}`);
  screen.say(`    (defaults: ${defaults}); analyzers ${flags(ANALYZER_FLAGS)}`);
  if (screen.isLive) screen.say(`  In the table: ${TABLE_NOTE}`);
  screen.say();
}

function describeAnalyzer(cast: Cast, index: number): string {
  const id = IDS[index]!;
  return `${id}  weight ${WEIGHTS[id]}  :${cast.analyzerPorts[id]}`;
}

/** Says what holds; returns whether all of it does. */
export function conclude(screen: Screen, verdicts: readonly Verdict[], seconds: number): boolean {
  const failed = verdicts.filter(({ holds }) => !holds).length;
  screen.say();
  for (const verdict of verdicts) screen.say(formatVerdict(verdict, screen.look));
  screen.say();
  screen.say(
    failed === 0
      ? `All ${verdicts.length} claims hold, after ${Math.round(seconds)} s.`
      : `${failed} of ${verdicts.length} claims do not hold.`,
  );
  return failed === 0;
}

/** What to try while it goes on. */
export function describeCommands({ url, analyzerPorts }: Cast): string {
  const json = `-H "Content-Type: application/json"`;
  return `
It is still running. Look at ${url} in a browser, or from another terminal try:

  curl ${url}/api/v1/metrics
  curl ${url}/api/v1/analyzers/analyzer4
  curl -X PATCH ${json} -d '{"weight":1}' ${url}/api/v1/analyzers/analyzer4
  curl -X PATCH -d '{"error-rate":1}' http://localhost:${analyzerPorts.analyzer3}/faults
  curl -X DELETE http://localhost:${analyzerPorts.analyzer3}/faults
  curl ${json} -d '{"log_messages":[{"message":"hello"}]}' ${url}/api/v1/logs

Ctrl-C stops all of it.`;
}
