/** Dockerfile and compose.yaml, checked against the programs; no container is started. */

import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };
import { parseDuration } from "../src/flags.ts";
import {
  effectiveOptions,
  ImageRoot,
  isPermitted,
  type Launch,
  launchOf,
  readStages,
  tryOut,
  unknownVariables,
} from "./support/deployment.ts";
import { readDockerfile, readText, readYaml, type Yaml } from "./support/documents.ts";

const ROOT = new URL("../", import.meta.url);
const CONFIG = new URL("config/config.json", ROOT);
const OWN = ["distributor", "analyzer", "generator"];

const stages = readStages();
const [compose] = readYaml("compose.yaml") as [Yaml];
const services: [name: string, service: Yaml][] = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build);

function launchOfService({ build, command, environment }: Yaml): Launch {
  return launchOf(stages.get(build.target)!, { args: command, env: environment });
}

Deno.test("Dockerfile copies what is there, lets it through .dockerignore, and compiles", () => {
  const passed = readText(".dockerignore").split("\n").filter((line) => line.startsWith("!"));
  const files = readDockerfile("Dockerfile")
    .filter(({ word, rest }) => word === "COPY" && !rest.startsWith("--"))
    .flatMap(({ rest }) => rest.split(" ").slice(0, -1).map((path) => path.replace("./", "")));
  assert(files.includes("main.ts"), files.join());
  for (const file of files) {
    assert(Deno.statSync(new URL(file, ROOT)), file);
    assert(passed.includes(`!${file.split("/")[0]}`), `.dockerignore keeps ${file} out`);
  }
  const task = /deno task (\w+)/.exec(readText("Dockerfile"))?.[1];
  assert(task !== undefined && task in denoConfig.tasks);
});

Deno.test("Dockerfile pins its base images by digest, and Deno to the version of denow", () => {
  const images = readDockerfile("Dockerfile")
    .filter(({ word, rest }) => word === "ARG" && rest.includes("_IMAGE="))
    .map(({ rest }) => rest.split("=")[1]!);
  assertEquals(images.length, 2);
  for (const image of images) assertMatch(image, /@sha256:[0-9a-f]{64}$/);
  const pinned = /^pinned=(.+)$/m.exec(readText("denow"))![1]!;
  assert(images[0]!.startsWith(`denoland/deno:${pinned}@`), images[0]);
});

Deno.test("Dockerfile makes one image a program, none of which runs as root", () => {
  for (const name of OWN) {
    const { entrypoint, user, copied } = stages.get(name)!;
    assertEquals(entrypoint, [`/usr/local/bin/${name}`]);
    assert(copied.includes(entrypoint[0]!), `${name} is not copied to ${entrypoint}`);
    assertMatch(user, /^[1-9]\d*:[1-9]\d*$/);
  }
  assertEquals([...stages.keys()].at(-1), "distributor", "the default is the last");
});

Deno.test("Dockerfile gives the programs options that they understand", async () => {
  using root = new ImageRoot(CONFIG);
  for (const name of OWN) {
    const { code, stderr } = await tryOut(launchOf(stages.get(name)!, {}), root);
    assertEquals(code, 0, `${name}: ${stderr}`);
  }
  assertEquals(unknownVariables(stages.get("distributor")!.env), []);
});

Deno.test("Dockerfile's volume is the data folder, owned by the user, permitted to the program", async () => {
  using root = new ImageRoot(CONFIG);
  const { volumes, copied, workdir, user } = stages.get("distributor")!;
  const options = await effectiveOptions(launchOf(stages.get("distributor")!, {}), root);
  assertEquals(options["dataDir"], `${root.localize(volumes[0]!)} (environment)`);
  assert(copied.includes(volumes[0]!) && readText("Dockerfile").includes(`--chown=${user}`));
  assert(isPermitted(volumes[0]!, "read") && isPermitted(volumes[0]!, "write"));
  // config/config.json of the folder it starts in.
  assert(copied.includes(`${workdir}config`) && isPermitted(`${workdir}config`, "read"));
});

Deno.test("Dockerfile's health check asks the address that the service listens on", async () => {
  using root = new ImageRoot(CONFIG);
  const { healthcheck: [path, ...args], env, entrypoint, ports } = stages.get("distributor")!;
  assertEquals([path, args], [entrypoint[0], ["healthcheck"]]);
  const options = await effectiveOptions({ program: "distributor", args, env }, root);
  assertEquals(options["httpAddr"], `:${ports[0]} (environment)`);
});

Deno.test("compose.yaml builds targets that are there, with options that they understand", async () => {
  using root = new ImageRoot(CONFIG);
  assertEquals(ours.length, 7);
  for (const [name, service] of ours) {
    assert(stages.has(service.build.target), `${name}: no target ${service.build.target}`);
    assertEquals(unknownVariables(service.environment ?? {}), []);
    const { code, stderr } = await tryOut(launchOfService(service), root);
    assertEquals(code, 0, `${name}: ${stderr}`);
  }
});

Deno.test("compose.yaml keeps the spool on a volume, and stops later than the drain ends", async () => {
  using root = new ImageRoot(CONFIG);
  const { distributor } = compose.services;
  const options = await effectiveOptions(launchOfService(distributor), root);
  assertEquals(options["durability"], "disk (environment)");
  const [volume, folder] = distributor.volumes[0].split(":");
  assert(volume in compose.volumes);
  assertEquals(options["dataDir"], `${root.localize(folder)} (flag)`);
  assertEquals(stages.get("distributor")!.volumes, [folder]);
  const drainMs = parseDuration(options["drainTimeout"]!.split(" ")[0]!)!;
  assertGreater(parseDuration(distributor.stop_grace_period)!, drainMs);
  const [path, ...words] = stages.get("distributor")!.healthcheck;
  assertEquals(distributor.healthcheck.test, ["CMD", path, ...words]);
});

Deno.test("compose.yaml publishes on loopback alone, the port that the distributor listens on", () => {
  for (const [name, { ports = [] }] of services) {
    for (const port of ports) assertMatch(port, /^127\.0\.0\.1:(\d+):\1$/, name);
  }
  const { ports, environment } = compose.services.distributor;
  assertEquals(ports, [`127.0.0.1:8080${environment.DISTRIBUTOR_HTTP_ADDR}`]);
});

Deno.test("compose.yaml gives the analyzers the weights 0.4 0.3 0.2 0.1, and URLs on their ports", () => {
  const analyzers = services.filter(([, { build }]) => build?.target === "analyzer")
    .map(([name, { command }]): [string, Record<string, string>] => [
      name,
      Object.fromEntries(command.map((word: string) => word.slice(1).split("="))),
    ]);
  assertEquals(analyzers.map(([, { weight }]) => weight), ["0.4", "0.3", "0.2", "0.1"]);
  for (const [name, { id, advertise, port, distributor }] of analyzers) {
    assertEquals([id, advertise], [name, `http://${name}:${port}`]);
    assertEquals(distributor, "http://distributor:8080");
  }
});

Deno.test("compose.yaml: every service is hardened, limited, pinned, and waits for what is there", () => {
  for (const [name, service] of services) {
    assertEquals(
      [service.read_only, service.cap_drop, service.security_opt, service.restart],
      [true, ["ALL"], ["no-new-privileges:true"], "unless-stopped"],
      name,
    );
    assert(service.deploy.resources.limits.memory && service.deploy.resources.limits.cpus, name);
    if (!service.build) assertMatch(service.image, /^[\w./-]+:v?\d+\.\d+\.\d+$/, name);
    for (const [other, { condition }] of Object.entries<Yaml>(service.depends_on ?? {})) {
      assert(other in compose.services, `${name} waits for ${other}`);
      const isChecked = compose.services[other].healthcheck?.test !== undefined;
      assertEquals(condition === "service_healthy", isChecked, `${name} waits for ${other}`);
    }
  }
});

Deno.test("compose.yaml mounts files that are there, and volumes that it declares", () => {
  const present = new Set([...Deno.readDirSync(new URL("deploy", ROOT))].map(({ name }) => name));
  for (const [name, { volumes = [] }] of services) {
    for (const [from] of volumes.map((volume: string) => volume.split(":"))) {
      if (!from.startsWith("./")) assert(from in compose.volumes, `${name}: ${from}`);
      // A checkout without monitoring has neither folder; with it, every file must be there.
      else if (present.has(from.split("/")[2])) assert(Deno.statSync(new URL(from, ROOT)), from);
    }
  }
});

Deno.test("compose.yaml has the profiles and services that its comments and README name", () => {
  const profiles = new Set(services.flatMap(([, service]) => service.profiles ?? []));
  assertEquals([...profiles].toSorted(), ["load", "observability"]);
  for (const file of ["compose.yaml", "README.md"]) {
    for (const [, profile] of readText(file).matchAll(/--profile (\w+)/g)) {
      assert(profiles.has(profile!), `${file}: ${profile}`);
    }
    for (const [, name] of readText(file).matchAll(/docker compose (?:stop|start) (\w+)/g)) {
      assert(name! in compose.services, `${file}: ${name}`);
    }
  }
});
