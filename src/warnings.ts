/**
 * What an operator ought to see to though packets are taken: the `warnings` of `GET /readyz`.
 *
 * Pure reading. A warning says what is the matter and what to do.
 */

import type { AnalyzerGlance } from "./analyzer_view.ts";
import type { PacketQueue } from "./queue/packet_queue.ts";
import type { Spool } from "./queue/spool.ts";

export interface Warned {
  readonly queue: Pick<PacketQueue, "ledger" | "deadLetters" | "manyDeadLetters">;
  readonly spool: Pick<Spool, "setAside" | "lost"> | undefined;
  readonly analyzers: readonly Pick<AnalyzerGlance, "eligible" | "paused">[];
}

/** All warnings of this moment. */
export function listWarnings({ queue, spool, analyzers }: Warned): string[] {
  const { setAside = [], lost = { packets: 0 } } = spool ?? {};
  const warnings = setAside.map((file) => `a damaged spool was set aside: ${file}`);
  if (lost.packets > 0) warnings.push(`${lost.packets} damaged packets were put aside`);
  const { ledger, deadLetters, manyDeadLetters } = queue;
  if (deadLetters.size > 0) {
    warnings.push(
      `dead letters: ${deadLetters.size}; GET /api/v1/dead-letters says why, ` +
        "replay or delete them",
    );
  }
  if (manyDeadLetters) warnings.push(manyDeadLetters);
  if (!analyzers.some(({ eligible }) => eligible)) {
    const waiting = ledger.count("queued").packets + ledger.count("spooled").packets;
    warnings.push(`${whyNone(analyzers)}; packets that wait: ${waiting}`);
  }
  return warnings;
}

function whyNone(analyzers: Warned["analyzers"]): string {
  if (analyzers.length === 0) {
    return "no analyzer is registered: register one with POST /api/v1/analyzers";
  }
  return analyzers.every(({ paused }) => paused)
    ? "no analyzer is eligible: all are paused"
    : "no analyzer is eligible: GET /api/v1/analyzers says why";
}
