/** deploy/kubernetes and deploy/systemd, checked against the program; no cluster is at hand. */

import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { parseDuration } from "../src/flags.ts";
import {
  effectiveOptions,
  ImageRoot,
  isPermitted,
  launchOf,
  readStages,
  unknownVariables,
} from "./support/deployment.ts";
import { readText, readYaml, type Yaml } from "./support/documents.ts";
import { startDistributorProgram } from "./support/program.ts";

const ROOT = new URL("../", import.meta.url);
const BASE = "deploy/kubernetes/base";
const UNIT = "deploy/systemd/distributor.service";

const stage = readStages().get("distributor")!;
const [kustomization] = readYaml(`${BASE}/kustomization.yaml`);
const resources: Yaml[] = kustomization.resources.flatMap((name: string) =>
  readYaml(`${BASE}/${name}`)
);
const statefulSet = resources.find(({ kind }) => kind === "StatefulSet");
const pod = statefulSet.spec.template;
const [container] = pod.spec.containers;
const env: Record<string, string> = Object.fromEntries(
  container.env.map(({ name, value }: Yaml) => [name, value]),
);
const launch = launchOf(stage, { args: container.args, env });
const configFile = new URL(`${BASE}/config.json`, ROOT);

async function succeeds(command: string, args: string[]): Promise<string | undefined> {
  try {
    const output = await new Deno.Command(command, { args, cwd: ROOT }).output();
    const { stdout, stderr } = output;
    return output.success ? "" : new TextDecoder().decode(new Uint8Array([...stdout, ...stderr]));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test("kustomize builds the manifests, where kubectl is there", async () => {
  for (const folder of ["base", "monitoring"]) {
    const said = await succeeds("kubectl", ["kustomize", `deploy/kubernetes/${folder}`]);
    if (said === undefined) console.log("not built: there is no kubectl here");
    else assertEquals(said, "", folder);
  }
});

Deno.test("kubernetes: the container has options that the program understands", async () => {
  using root = new ImageRoot(configFile);
  const options = await effectiveOptions(launch, root);
  assertEquals(unknownVariables(env), []);
  assertEquals(options["durability"], "disk (environment)");
  const drainMs = parseDuration(options["drainTimeout"]!.split(" ")[0]!)!;
  assertGreater(pod.spec.terminationGracePeriodSeconds * 1000, drainMs);
  const [{ containerPort }] = container.ports;
  assertEquals(options["httpAddr"], `:${containerPort} (environment)`);
});

Deno.test("kubernetes: the spool and the config file are mounted where the program may go", async () => {
  using root = new ImageRoot(configFile);
  const options = await effectiveOptions(launch, root);
  const mounts = new Map<string, string>(
    container.volumeMounts.map(({ name, mountPath }: Yaml) => [name, mountPath]),
  );
  const [claim] = statefulSet.spec.volumeClaimTemplates;
  const data = mounts.get(claim.metadata.name)!;
  assertEquals(options["dataDir"], `${root.localize(data)} (flag)`);
  assert(isPermitted(data, "write"));
  const config = container.args[container.args.indexOf("--config") + 1];
  const [volume] = pod.spec.volumes;
  const [map] = kustomization.configMapGenerator;
  assertEquals(config, `${mounts.get(volume.name)}/${map.files[0]}`);
  assertEquals(volume.configMap.name, map.name);
  assert(isPermitted(config, "read"));
  assertEquals(pod.spec.securityContext.runAsUser, Number(stage.user.split(":")[0]));
});

Deno.test("kubernetes: what is probed answers", async () => {
  const { program, url } = await startDistributorProgram([]);
  await using _program = program;
  for (const name of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    const { path, port } = container[name].httpGet;
    assertEquals(port, container.ports[0].name);
    const response = await fetch(url + path);
    await response.body?.cancel();
    assertEquals(response.status, 200, path);
  }
  program.signal("SIGTERM");
  await program.exits();
});

Deno.test("kubernetes: services, budget and monitor select what is there", () => {
  const labels = Object.entries(pod.metadata.labels);
  const services = resources.filter(({ kind }) => kind === "Service");
  const budget = resources.find(({ kind }) => kind === "PodDisruptionBudget");
  const selectors = [
    statefulSet.spec.selector.matchLabels,
    budget.spec.selector.matchLabels,
    ...services.map(({ spec }) => spec.selector),
  ];
  for (const selector of selectors) assertEquals(Object.entries(selector), labels);
  assert(services.some(({ metadata }) => metadata.name === statefulSet.spec.serviceName));
  const [monitor] = readYaml("deploy/kubernetes/monitoring/servicemonitor.yaml");
  const matching = services.filter(({ metadata }) =>
    Object.entries(monitor.spec.selector.matchLabels)
      .every(([label, value]) => metadata.labels[label] === value)
  );
  assertEquals(matching.length, 1, "a pod is scraped once");
  const ports = matching[0].spec.ports.map(({ name }: Yaml) => name);
  assert(monitor.spec.endpoints.every(({ port }: Yaml) => ports.includes(port)));
  const [image] = kustomization.images;
  assertEquals([image.name, image.newTag], [container.image, versionOf("deno.json")]);
});

function versionOf(path: string): string {
  return JSON.parse(readText(path)).version;
}

/** The settings of one section of a unit; a setting may be there several times. */
function readUnit(path: string): [key: string, value: string][] {
  return readText(path).split("\n")
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
}

const unit = readUnit(UNIT);
const setting = (name: string) => unit.find(([key]) => key === name)?.[1] ?? "";

Deno.test("systemd: the unit starts the program with options that it understands", async () => {
  const variables = Object.fromEntries(
    setting("Environment").split(" ").map((pair) => pair.split("=") as [string, string]),
  );
  assertEquals(unknownVariables(variables), []);
  using root = new ImageRoot(new URL("config/config.json", ROOT));
  const [path, ...args] = setting("ExecStart").split(" ");
  assertMatch(readText("install.sh"), new RegExp(`^folder=.*${path!.replace(/\/\w+$/, "")}`, "m"));
  const options = await effectiveOptions({ program: "distributor", args, env: variables }, root);
  assertEquals(options["durability"], "disk (environment)");
  const drainMs = parseDuration(options["drainTimeout"]!.split(" ")[0]!)!;
  assertGreater(parseDuration(setting("TimeoutStopSec"))!, drainMs);
  const folder = setting("WorkingDirectory");
  assertEquals(folder, `/var/lib/${setting("StateDirectory")}`);
  assert(isPermitted(`${folder}/${variables["DISTRIBUTOR_DATA_DIR"]}`, "write"));
  for (const [, file] of readText(UNIT).matchAll(/DISTRIBUTOR_CONFIG=(\S+)$/gm)) {
    assert(isPermitted(file!, "read"), file);
  }
});

Deno.test("systemd-analyze finds nothing in the unit, where it is there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The program need not be installed to check the rest.
    const text = readText(UNIT).replace(/^(ExecStart=)\S+/m, `$1${Deno.execPath()}`);
    await Deno.writeTextFile(`${folder}/distributor.service`, text);
    const said = await succeeds("systemd-analyze", ["verify", `${folder}/distributor.service`]);
    if (said === undefined) console.log("not verified: there is no systemd-analyze here");
    else assertEquals(said, "");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
