/** What this machine and this distributor have of what faults need. */

import { SmallDisk } from "../support/small_disk.ts";
import { canTrace } from "../support/strace.ts";
import { startProgram } from "../support/program.ts";
import type { Need } from "./trial.ts";

/** Our own connections, and as many at the distributor's end. */
const MIN_DESCRIPTORS = 12_000;

/** Why a need is not met, by need; those that are met are not in it. */
export async function findMissing(): Promise<Map<Need, string>> {
  const missing = new Map<Need, string>();
  const isLinux = Deno.build.os === "linux";
  if (!isLinux) missing.set("linux", `this is ${Deno.build.os}, not Linux`);
  const isRoot = isLinux && Deno.uid() === 0;
  if (!isRoot) missing.set("root", "this is not root");
  if (!(isLinux && await canTrace())) missing.set("strace", "there is no strace that may trace");
  const mountFault = isRoot ? await tryMount() : "only root may mount a tmpfs";
  if (mountFault) missing.set("tmpfs", mountFault);
  const limit = isLinux ? readDescriptorLimit() : 0;
  if (limit < MIN_DESCRIPTORS) {
    missing.set("descriptors", `${limit} file descriptors are allowed, not ${MIN_DESCRIPTORS}`);
  }
  if (!await hasDisk()) missing.set("disk", "this distributor has no --durability disk");
  return missing;
}

async function tryMount(): Promise<string | undefined> {
  const path = await Deno.makeTempDir();
  try {
    await using _disk = await SmallDisk.mount(path, 1);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await Deno.remove(path);
  }
}

function readDescriptorLimit(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
}

async function hasDisk(): Promise<boolean> {
  await using program = startProgram("distributor", ["--help"]);
  await program.exits();
  return program.stdout.some((line) => line.includes("--data-dir"));
}
