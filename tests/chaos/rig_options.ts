/** What a rig is built from, and the command line that follows. */

import type { Trial } from "./trial.ts";

export const MIB = 1024 * 1024;
/** Packets in one request to an analyzer. */
export const MAX_BATCH = 16;
const DATA_ROOT = new URL("../../data/", import.meta.url);

export const DEFAULT_QUEUE_BYTES = 64 * MIB;

/** Health that changes in seconds, so that a trial does not take minutes. */
const QUICK = [
  "--health-check-interval=500ms",
  "--ejection-time=500ms",
  "--slow-start=1s",
  "--retry-interval=50ms",
];

export interface RigOptions {
  /** @default [4, 3, 2, 1] */
  readonly weights?: readonly number[];
  /** @default true */
  readonly batches?: boolean;
  /** Further flags of the distributor. */
  readonly flags?: readonly string[];
  /** As users have it, not {@link QUICK}. @default false */
  readonly slowHealth?: boolean;
  /** In bytes. @default 64 MiB */
  readonly queueBytes?: number;
  /** @default a new one, removed at the end */
  readonly dataDir?: string;
  readonly descriptors?: number;
  /** Asks for metrics all the time. @default true */
  readonly watch?: boolean;
}

/** What a single start of the distributor is given. */
export interface LaunchOptions {
  readonly env?: Record<string, string>;
  /** Words before the command. */
  readonly wrap?: readonly string[];
  /** What it answers once it is there: with a full disk it lives, and is not ready. */
  readonly answers?: "/readyz" | "/livez";
}

export interface FinishOptions {
  readonly settleMs?: number;
  readonly recoveryMs?: number;
  readonly moreDuplicates?: number;
  /** No packet may have become a dead letter. @default false */
  readonly noDead?: boolean;
  /** The distributor has ended, and is not to be asked. @default false */
  readonly isOver?: boolean;
}

/** The flags with which the distributor is started. */
export function distributorFlags(
  { durability }: Pick<Trial, "durability">,
  { options, dataDir }: { options: RigOptions; dataDir: string },
): string[] {
  const { flags = [], slowHealth = false, queueBytes = DEFAULT_QUEUE_BYTES } = options;
  return [
    "--http-addr=127.0.0.1:0",
    `--durability=${durability}`,
    ...(durability === "disk" ? [`--data-dir=${dataDir}`] : []),
    `--queue-bytes=${queueBytes}`,
    `--max-batch=${MAX_BATCH}`,
    ...(slowHealth ? [] : QUICK),
    ...flags,
  ];
}

/** A new folder where the programs, as their tasks start them, may write. */
export async function makeDataDir(): Promise<string> {
  await Deno.mkdir(DATA_ROOT, { recursive: true });
  return await Deno.makeTempDir({ dir: DATA_ROOT.pathname, prefix: "chaos_" });
}
