/**
 * How true the shares are, in messages, when packets hold 1 to 1000 of them.
 *
 * The same packets go through each contender to four mock analyzers that count what they receive.
 */

import type { MockAnalyzer } from "../analyzers/mock_analyzer.ts";
import { startMockAnalyzer } from "../analyzers/mock_analyzer.ts";
import { type Contender, type ContenderName, WEIGHTS } from "./contenders.ts";
import { runGenerator } from "./generator.ts";
import { untilDrained } from "./run.ts";

export const SHARE_PACKETS = 10_000;
const RATE = 1500;
const CONCURRENCY = 64;
const SEED = 11;

export interface ShareResult {
  readonly contender: ContenderName;
  /** By analyzer. */
  readonly messages: readonly number[];
  readonly packets: readonly number[];
  /** Largest distance of a share of messages from its target, in percentage points. */
  readonly errorPoints: number;
  readonly faults: readonly string[];
}

/** Starts the four analyzers, in this process. */
export function startAnalyzers(): Promise<MockAnalyzer[]> {
  return Promise.all(
    WEIGHTS.map((_, i) =>
      startMockAnalyzer({ id: `analyzer${i + 1}`, host: "127.0.0.1", port: 0 })
    ),
  );
}

/** Sends the packets through one contender. */
export async function measureShares(
  contender: Contender,
  analyzers: readonly MockAnalyzer[],
  signal: AbortSignal,
): Promise<ShareResult> {
  const before = analyzers.map((analyzer) => analyzer.stats());
  const report = await runGenerator({
    url: contender.url,
    rate: RATE,
    batch: "1..1000",
    packets: SHARE_PACKETS,
    concurrency: CONCURRENCY,
    seed: SEED,
    retry: "true",
  }, signal);
  await untilDrained(contender, signal);
  const after = analyzers.map((analyzer) => analyzer.stats());
  const messages = after.map((stats, i) => stats.messages - before[i]!.messages);
  const packets = after.map((stats, i) => stats.packets - before[i]!.packets);
  const received = messages.reduce((sum, count) => sum + count, 0);
  return {
    contender: contender.name,
    messages,
    packets,
    errorPoints: shareError(messages, WEIGHTS),
    faults: received === report.messages_sent && report.failed === 0
      ? []
      : [`${report.messages_sent} messages sent, ${received} received`],
  };
}

/** The largest distance of a share from its target, in percentage points. */
export function shareError(counts: readonly number[], weights: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  const errors = counts.map((count, i) => Math.abs(count / total - weights[i]! / totalWeight));
  return Math.max(...errors) * 100;
}
