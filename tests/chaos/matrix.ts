/** All faults, in the order in which they are run. */

import { ANSWER_FAULTS } from "./faults/answers.ts";
import { DISK_FAULTS } from "./faults/disk.ts";
import { KILL_FAULTS } from "./faults/kills.ts";
import { LOAD_FAULTS } from "./faults/load.ts";
import { OUTAGE_FAULTS } from "./faults/outage.ts";
import { SOAK_FAULTS } from "./faults/soak.ts";
import { SOCKET_FAULTS } from "./faults/sockets.ts";
import type { Fault } from "./trial.ts";

export const MATRIX: readonly Fault[] = [
  ...KILL_FAULTS,
  ...DISK_FAULTS,
  ...ANSWER_FAULTS,
  ...OUTAGE_FAULTS,
  ...LOAD_FAULTS,
  ...SOCKET_FAULTS,
  ...SOAK_FAULTS,
];
