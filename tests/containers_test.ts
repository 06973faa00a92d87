import { assert, assertEquals } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const PROFILE = (Deno.env.get("DENO_PROFILE") ?? "").split(" ").filter(Boolean);
const ENTRIES: Record<string, string> = {
  distributor: "main.ts",
  analyzer: "analyzers/main.ts",
  generator: "generator/main.ts",
};

function readText(name: string): string {
  return Deno.readTextFileSync(new URL(name, ROOT));
}

/** The arrays of words that follow `mark`, as Dockerfile and compose.yaml write commands. */
function findCommands(text: string, mark: RegExp): string[][] {
  return [...text.matchAll(mark)].map(([, list]) => JSON.parse(list!.replace(/,\s*\]$/, "]")));
}

/** Whether a program understands a command line: it prints its usage and ends with 0. */
async function understands([program, ...args]: string[]): Promise<string> {
  const entry = ENTRIES[program!];
  assert(entry !== undefined, `there is no program ${program}`);
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...PROFILE, "--quiet", "-A", entry, ...args, "--help"],
    cwd: ROOT,
  }).output();
  return output.code === 0 ? "" : new TextDecoder().decode(output.stderr);
}

Deno.test("compose.yaml and Dockerfile give the programs flags that they understand", async () => {
  const compose = findCommands(readText("compose.yaml"), /command:\s*(\[[^\]]*\])/g);
  const docker = findCommands(readText("Dockerfile"), /CMD (\[[^\]]*\])/g);
  assertEquals([compose.length, docker.length], [5, 2]);
  for (const command of [...compose, ...docker]) {
    assertEquals(await understands(command), "", command.join(" "));
  }
});

Deno.test("compose.yaml gives the analyzers the weights 0.4 0.3 0.2 0.1, and URLs on their ports", () => {
  const analyzers = findCommands(readText("compose.yaml"), /command:\s*(\[[^\]]*\])/g)
    .filter(([program]) => program === "analyzer")
    .map((words) => (flag: string) => words[words.indexOf(flag) + 1]!);
  assertEquals(analyzers.map((flag) => flag("-weight")), ["0.4", "0.3", "0.2", "0.1"]);
  for (const flag of analyzers) {
    assertEquals(flag("-advertise"), `http://${flag("-id")}:${flag("-port")}`);
  }
});

Deno.test("Dockerfile copies what is there, and compiles with a task that is there", () => {
  const docker = readText("Dockerfile");
  for (const [, files] of docker.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const file of files!.split(" ")) assert(Deno.statSync(new URL(file, ROOT)), file);
  }
  const task = /RUN deno task (\w+)/.exec(docker)?.[1];
  assert(task !== undefined && task in denoConfig.tasks);
});
