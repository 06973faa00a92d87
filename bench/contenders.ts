/**
 * The contenders: the distributor, with and without batches, HAProxy and NGINX; one thread each.
 *
 * All take `POST /api/v1/logs`, pass it on as `POST /analyze` to four analyzers by the same
 * weights, keep their connections and check or notice the analyzers' health.
 */

import denoConfig from "../deno.json" with { type: "json" };
import type { MetricsView } from "../src/metrics.ts";
import type { Child, Children } from "./children.ts";
import type { Ports } from "./ports.ts";
import { writeConfig } from "./template.ts";

/** Of the four analyzers. */
export const WEIGHTS = [4, 3, 2, 1];

export type ContenderName = "batched" | "single" | "haproxy" | "nginx";

/** In words, for tables. */
export const TITLES: Readonly<Record<ContenderName, string>> = {
  batched: "distributor",
  single: "distributor, one packet a POST",
  haproxy: "HAProxy",
  nginx: "NGINX",
};

export interface Contender {
  readonly name: ContenderName;
  readonly url: string;
  readonly child: Child;
  /** Which analyzers of the sink it has. */
  readonly kind: "single" | "batched";
  /** Its own accounts, if it has any. */
  readonly readBooks?: () => Promise<MetricsView>;
}

export interface ContenderOptions {
  readonly tools: { readonly nginx: string; readonly haproxy: string };
  readonly ports: Ports;
  readonly maxConnections: number;
  /** Executable of the distributor; from source otherwise. */
  readonly bin?: string | undefined;
  readonly durability: string;
  /** Further flags of the distributor. */
  readonly distributorArgs: readonly string[];
}

const ROOT = new URL("../", import.meta.url);

/** Starts one, in front of analyzers on the given ports. */
export async function startContender(
  name: ContenderName,
  analyzers: readonly number[],
  { children, options }: { children: Children; options: ContenderOptions },
): Promise<Contender> {
  const port = options.ports.next();
  const to = { port, analyzers, children, options };
  const child = name === "haproxy"
    ? startHaproxy(to)
    : name === "nginx"
    ? startNginx(to)
    : startDistributor(to);
  await children.untilListening(child, port);
  const url = `http://127.0.0.1:${port}`;
  const kind = name === "batched" ? "batched" : "single";
  if (name === "haproxy" || name === "nginx") return { name, url, child, kind };
  const readBooks = async () => await (await fetch(`${url}/api/v1/metrics`)).json();
  return { name, url, child, kind, readBooks };
}

interface Start {
  readonly port: number;
  readonly analyzers: readonly number[];
  readonly children: Children;
  readonly options: ContenderOptions;
}

function startHaproxy({ port, analyzers, children, options }: Start): Child {
  const servers = analyzers.map((at, i) =>
    `  server analyzer${i + 1} 127.0.0.1:${at} weight ${WEIGHTS[i]} check inter 2s`
  );
  const { maxConnections } = options;
  const name = `haproxy-${port}`;
  const values = { port, maxConnections, servers: servers.join("\n") };
  const config = writeConfig(children.folder, name, { template: "haproxy.cfg", values });
  return children.start({ name, words: [options.tools.haproxy, "-db", "-f", config] });
}

/** Its free form has no active health checks: it notices failures of requests only. */
function startNginx({ port, analyzers, children, options }: Start): Child {
  const servers = analyzers.map((at, i) =>
    `    server 127.0.0.1:${at} weight=${WEIGHTS[i]} max_fails=3 fail_timeout=5s;`
  );
  const name = `nginx-${port}`;
  const folder = `${children.folder}/${name}`;
  Deno.mkdirSync(folder);
  const maxConnections = 2 * options.maxConnections;
  const values = { port, folder, maxConnections, servers: servers.join("\n") };
  const config = writeConfig(folder, name, { template: "nginx.conf", values });
  const words = [options.tools.nginx, "-p", folder, "-e", `${folder}/error.log`, "-c", config];
  return children.start({ name, words });
}

function startDistributor({ port, analyzers, children, options }: Start): Child {
  const { bin, durability, distributorArgs } = options;
  const name = `distributor-${port}`;
  const config = `${children.folder}/${name}.json`;
  const listed = analyzers.map((at, i) => ({
    id: `analyzer${i + 1}`,
    url: `http://127.0.0.1:${at}`,
    weight: WEIGHTS[i],
  }));
  Deno.writeTextFileSync(config, JSON.stringify({ analyzers: listed }));
  const flags = ["--http-addr", `127.0.0.1:${port}`, "--config", config];
  // Below the folder of the task's own permission; the source runs in the checkout.
  const data = durability === "memory" ? [] : ["--data-dir", `data/bench-${port}`];
  const words = bin ? [Deno.realPathSync(bin)] : taskWords(denoConfig.tasks.start.command);
  return children.start({
    name,
    words: [...words, ...flags, "--durability", durability, ...data, ...distributorArgs],
    cwd: bin ? children.folder : ROOT,
  });
}

/** Removes what distributors with durability disk have left in the checkout. */
export function removeData(): void {
  const data = new URL("data/", ROOT);
  let names: string[] = [];
  try {
    names = [...Deno.readDirSync(data)].map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const name of names.filter((name) => /^bench-\d+$/.test(name))) {
    Deno.removeSync(new URL(name, data), { recursive: true });
  }
}

/** The words of a task of deno.json, as its shell would make them, with this very Deno. */
export function taskWords(
  command: string,
  profile: string = Deno.env.get("DENO_PROFILE") ?? "",
): string[] {
  const [program, ...words] = command.replace("$DENO_PROFILE", profile).split(/\s+/)
    .map((word) => word.replace(/^(["'])(.*)\1$/, "$2")).filter(Boolean);
  return [program === "deno" ? Deno.execPath() : program!, ...words];
}
