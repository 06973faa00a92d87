/** The three programs as executables: entry, permissions and what else belongs in each. */

import type { Target } from "./targets.ts";

export type ProgramName = "distributor" | "analyzer" | "generator";

export interface ProgramBuild {
  readonly entry: string;
  /** Permissions, fixed for good once it is compiled. */
  readonly permissions: (target: Target) => readonly string[];
  /** Further flags of `deno compile`, such as `--include=FILE` for a worker's module. */
  readonly flags: readonly string[];
}

/** Beside those in the folder it is started in, the folders of the image and of systemd. */
const DATA_FOLDERS = ["data", "/data", "/var/lib/distributor"];
const CONFIG_FOLDERS = ["config", "/config", "/etc/distributor"];

/** Windows has no such absolute paths: there it is the folder it is started in. */
function only(target: Target, folders: readonly string[]): string {
  const isWindows = target.name.startsWith("windows");
  return folders.filter((folder) => !isWindows || !folder.startsWith("/")).join(",");
}

function distributorPermissions(target: Target): string[] {
  return [
    "--allow-net",
    `--allow-read=${only(target, [...DATA_FOLDERS, ...CONFIG_FOLDERS])}`,
    `--allow-write=${only(target, DATA_FOLDERS)}`,
    "--allow-env=DISTRIBUTOR_*,OTEL_DENO",
  ];
}

export const PROGRAMS: Readonly<Record<ProgramName, ProgramBuild>> = {
  distributor: {
    entry: "main.ts",
    permissions: distributorPermissions,
    // Several threads listen on one port.
    flags: [
      "--include=src/threads/ingest_thread.ts",
      ...["--unstable-net", "--unstable-raw-imports"],
    ],
  },
  analyzer: { entry: "analyzers/main.ts", permissions: () => ["--allow-net"], flags: [] },
  generator: { entry: "generator/main.ts", permissions: () => ["--allow-net"], flags: [] },
};

export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];
