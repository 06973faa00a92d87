/** What the bench runs on: the peers' programs, versions, and the machine. */

import { UsageError } from "../src/errors.ts";
import { VERSION } from "../src/version.ts";

const PEERS = ["nginx", "haproxy", "wrk"] as const;
/** Where servers are installed; not in everyone's PATH. */
const SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];
/** 512 agents and as many connections behind, for one contender, with something to spare. */
const MIN_OPEN_FILES = 2048;

/** Path of each program. */
export type Tools = Readonly<Record<typeof PEERS[number], string>>;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly versions: Readonly<Record<"distributor" | "deno" | typeof PEERS[number], string>>;
}

/**
 * Finds the programs.
 *
 * @throws {UsageError} that says what to install
 */
export function findTools(): Tools {
  if (Deno.build.os !== "linux") throw new UsageError("The bench needs Linux: it reads /proc");
  const folders = [...(Deno.env.get("PATH") ?? "").split(":").filter(Boolean), ...SERVER_FOLDERS];
  const found = PEERS.map((name) =>
    [name, folders.map((folder) => `${folder}/${name}`).find(isFile)] as const
  );
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name);
  if (missing.length > 0) {
    throw new UsageError(
      `Cannot find ${missing.join(" and ")}: run \`apt-get install ${missing.join(" ")}\``,
    );
  }
  return Object.fromEntries(found) as unknown as Tools;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * Connections a proxy may be told to hold, from the limit of open files: each takes two.
 *
 * @throws {UsageError} when they are too few
 */
export function readMaxConnections(): number {
  const files = readOpenFiles();
  if (files < MIN_OPEN_FILES) {
    throw new UsageError(
      `Only ${files} files may be open: run \`ulimit -n ${MIN_OPEN_FILES}\` first`,
    );
  }
  return Math.min(4096, Math.floor((files - 200) / 2));
}

/** How many files, and so connections, this process and each of its children may have open. */
export function readOpenFiles(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const line = /^Max open files\s+(\d+|unlimited)/m.exec(limits);
  return line?.[1] === "unlimited" ? Infinity : Number(line?.[1] ?? 0);
}

/** Reads versions and the machine. */
export async function describeMachine(tools: Tools): Promise<Machine> {
  const cpu = /^model name\s*: (.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  const [nginx, haproxy, wrk] = await Promise.all([
    printed(tools.nginx, "-v"),
    printed(tools.haproxy, "-v"),
    printed(tools.wrk, "-v"),
  ]);
  return {
    cpu: cpu ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryBytes: Deno.systemMemoryInfo().total,
    kernel: firstVersion(Deno.osRelease()),
    versions: {
      distributor: VERSION,
      deno: Deno.version.deno,
      nginx: firstVersion(nginx),
      haproxy: firstVersion(haproxy),
      wrk: firstVersion(wrk),
    },
  };
}

/** The first `1.2.3` or `1.2` in a text. */
export function firstVersion(text: string): string {
  return /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? "unknown";
}

async function printed(program: string, flag: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(program, { args: [flag] }).output();
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}
