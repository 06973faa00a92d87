/** What a fault of the matrix is, what one run of it is given, and what it finds. */

import type { Random } from "../../src/random.ts";
import type { Violation } from "./oracle.ts";

/** What a machine or a distributor may lack. */
export type Need = "linux" | "root" | "strace" | "tmpfs" | "disk" | "descriptors";

/** One run of a fault. */
export interface Trial {
  readonly seed: number;
  /** Seeded with it. */
  readonly random: Random;
  /** Whether full counts and times are asked for. */
  readonly isFull: boolean;
  readonly durability: "memory" | "disk";
}

export interface Finding {
  readonly acknowledged: number;
  readonly lost: number;
  readonly duplicates: number;
  /** From the end of the fault until all is well again, as each fault defines it. */
  readonly recoveryMs: number;
  readonly violations: readonly Violation[];
}

export interface Fault {
  /** As in `--only`. */
  readonly name: string;
  readonly needs?: readonly Need[];
  /** How many trials: of the selection, and of everything; 0 leaves it out. */
  readonly runs: { readonly some: number; readonly all: number };
  readonly run: (trial: Trial) => Promise<Finding>;
}
