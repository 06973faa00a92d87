/**
 * Compiled with the distributor's flags, this tries what a program that was taken over might, and
 * prints what came of each try; then what the distributor does itself.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { DatabaseSync } from "node:sqlite";

// Put together as it runs, or the compiler would embed the file.
const file = ["", "etc", "passwd"].join("/");

function startWorker(): Promise<void> {
  return new Promise((_, fail) => {
    new Worker(`file://${file}`, { type: "module" }).onerror = (event) => {
      event.preventDefault();
      fail(event.message.includes("Module not found") ? new TypeError() : new Error(event.message));
    };
  });
}

const TRIES: Record<string, () => unknown> = {
  read: () => Deno.readTextFileSync(file),
  readNode: () => readFileSync(file),
  open: () => new DatabaseSync(file),
  list: () => [...Deno.readDirSync("/")],
  fetch: () => fetch(`file://${file}`),
  require: () => createRequire("file:///x.js")(file),
  import: () => import(file),
  importUp: () => import(`../../../../../..${file}`),
  importText: () => import(`file://${file}`, { with: { type: "text" } }),
  importNested: () => import(`data:text/javascript,import "file://${file}"`),
  worker: startWorker,
  environment: () => Deno.readTextFileSync("/proc/self/environ"),
  variable: () => Deno.env.get("PATH"),
  write: () => Deno.writeTextFileSync(Deno.args[0]!, "x"),
  link: () => Deno.symlinkSync(file, "data/passwd"),
  spawn: () => new Deno.Command("/bin/true").outputSync(),
  spawnNode: () => execFileSync("/bin/true"),
  library: () => Deno.dlopen("libc.so.6", {}),
  machine: () => Deno.hostname(),
  signal: () => Deno.kill(Deno.ppid, "SIGCONT"),
};

for (const [name, act] of Object.entries(TRIES)) {
  try {
    await act();
    console.log(name, "done");
  } catch (error) {
    console.log(name, (error as Error).name);
  }
}
Deno.writeTextFileSync("data/spool", "x");
console.log("data", Deno.readTextFileSync("data/spool"));
