import { assert, assertEquals } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };
import { STUCK_MS } from "../src/drain.ts";
import { STATUS_KINDS } from "../src/analyzer_view.ts";
import { OPTIONS } from "../src/config.ts";
import { DEFAULT_HEALTH } from "../src/health.ts";
import { ERROR_CODES, statusOf } from "../src/errors.ts";
import { flagName, parseValue } from "../src/flags.ts";
import { pathsIn } from "../src/queue/data_folder.ts";
import { nextStep } from "../src/retry.ts";
import { WINDOW_SECONDS } from "../src/window.ts";
import { startSystem } from "./support/system.ts";
import { openSpool, TempFolder } from "./support/spools.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
/** Without line breaks, which say nothing. */
const PROSE = README.replaceAll(/\s+/g, " ");
const ROOT = new URL("../", import.meta.url);

Deno.test("README has a row for each option, with its default", () => {
  const rows = README.split("\n").filter((line) => line.startsWith("| `--"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  assertEquals(
    rows.map(([, flag, value]) => [flag, value]),
    Object.entries(OPTIONS).map(([key, option]) => [`\`--${flagName(key)}\``, option.default]),
    "run `deno task docs`",
  );
});

Deno.test("README names tasks, files and folders that exist", () => {
  for (const [, task] of README.matchAll(/\.?\/?denow? task ([a-z]+)/g)) {
    assert(task! in denoConfig.tasks, `there is no task ${task}`);
  }
  const paths = README.matchAll(/`((?:[\w.-]+\/)*[\w-]+(?:\/|\.(?:ts|md|json|yaml)))`/g);
  for (const [, path] of paths) assert(Deno.statSync(new URL(path!, ROOT)), path);
});

Deno.test("README gives each error code with its status", () => {
  const told = new Set<string>();
  for (const [, status, codes] of README.matchAll(/\| `(\d{3})` ((?:`[A-Z_0-9]+`(?:, )?)+)/g)) {
    for (const [, code] of codes!.matchAll(/`([A-Z_0-9]+)`/g)) {
      const known = ERROR_CODES.find((candidate) => candidate === code);
      assert(known !== undefined, `there is no code ${code}`);
      assertEquals(statusOf(known), Number(status), code);
      told.add(known);
    }
  }
  assertEquals(ERROR_CODES.filter((code) => !told.has(code)), []);
});

Deno.test("README names metrics that there are, and each status", async () => {
  await using system = await startSystem({ weights: [1] });
  const text = await (await fetch(`${system.url}/metrics`)).text();
  for (const [, name] of README.matchAll(/`(distributor_\w+|process_\w+)`/g)) {
    if (name !== "process_open_fds") assert(text.includes(`# TYPE ${name} `), name);
  }
  const told = [...README.matchAll(/^\| `([a-z_]+)` +\| (?:takes|has|is|was) /gm)];
  assertEquals(told.map(([, kind]) => kind), [...STATUS_KINDS]);
});

Deno.test("README names the domains that no stranger can own, as the code has them", () => {
  const code = Deno.readTextFileSync(new URL("src/hosts.ts", ROOT));
  const [, domains] = /PRIVATE_DOMAINS = \[([^\]]+)\]/.exec(code)!;
  const named = domains!.match(/[a-z.]+/g)!.map((domain) => `\`${domain}\``);
  assert(PROSE.includes(`${named.slice(0, -1).join(", ")} and ${named.at(-1)}`));
});

Deno.test("README gives the health defaults that are in the code", () => {
  const { fall, connectFailures, serverFailures, minPackets, probationSuccesses } = DEFAULT_HEALTH;
  for (
    const phrase of [
      `${fall} failures in a row, and it is out`,
      `${connectFailures} failed or broken connections or timeouts in a row`,
      `${serverFailures} answers of 5xx in a row on ${minPackets} different packets`,
      `until ${probationSuccesses} successes`,
      `${DEFAULT_HEALTH.ejectionMs / 1000} s, doubling with each relapse to ${
        DEFAULT_HEALTH.maxEjectionMs / 1000
      } s`,
      `from ${DEFAULT_HEALTH.slowStartFrom * 100} % to its whole share in ${
        DEFAULT_HEALTH.slowStartMs / 1000
      } s`,
    ]
  ) assert(README.includes(phrase), phrase);
});

/** The longest that a packet which every attempt fails is kept waiting, in seconds. */
function longestBackOff(maxRetries: number): number {
  const policy = {
    maxRetries,
    intervalMs: parseValue(OPTIONS.retryInterval, "200ms", "") as number,
  };
  const outcome = { kind: "retriable", failure: "http_5xx", detail: "HTTP 500" } as const;
  const about = { policy, random: () => 1, isNew: true, isLast: true, isAlone: true };
  let totalMs = 0;
  for (let attempts = 0;;) {
    const step = nextStep(outcome, { attempts, rejections: 0 }, about);
    if (step.kind === "give_up") return totalMs / 1000;
    totalMs += step.delayMs;
    attempts = step.attempts;
  }
}

Deno.test("README says how long retries hold out against 5xx", () => {
  const { maxRetries, retryInterval } = OPTIONS;
  const seconds = longestBackOff(Number(maxRetries.default));
  for (
    const phrase of [
      `\`--max-retries ${maxRetries.default}\` and \`--retry-interval ${retryInterval.default}\``,
      `${seconds / 2} s on average and ${seconds} s at most`,
      `\`--max-retries 100\` lasts ${Math.round(longestBackOff(100) / 2 / 60)} minutes on average`,
    ]
  ) assert(PROSE.includes(phrase), phrase);
});

Deno.test("README says what the units of sizes are", () => {
  for (const size of ["5MB", "5MiB"]) {
    const bytes = parseValue(OPTIONS.queueBytes, size, "") as number;
    const shown = bytes.toLocaleString("en-US");
    const found = new RegExp(`\`${size}\` (?:is )?${shown}\\b`).test(PROSE);
    assert(found, `${size} is ${shown}`);
  }
});

Deno.test("README starts the distributor on another folder with the task's other permissions", () => {
  const task = denoConfig.tasks.start.command.replace("$DENO_PROFILE ", "");
  const elsewhere = task.replace("--allow-write=data,config", "--allow-write=/srv/spool");
  assert(README.includes(`\n${elsewhere} --data-dir /srv/spool\n`), elsewhere);
  const denow = Deno.readTextFileSync(new URL("denow", ROOT));
  const [, profile] = /^npm_only="(.*)"$/m.exec(denow)!;
  assert(README.includes(`\n${profile}\n`), profile);
});

Deno.test("README tells of the files in a data folder", () => {
  const { database, wal, ballast, lock } = pathsIn("data");
  for (const path of [database, wal, ballast, lock]) {
    assert(README.includes(`\`${path.slice("data/".length)}\``), path);
  }
  using folder = new TempFolder();
  openSpool(folder.path).close();
  const { size } = Deno.statSync(pathsIn(folder.path).ballast);
  assert(new RegExp(`\`spool.ballast\` *\\| ${size / 2 ** 20} MiB of nothing`).test(README));
});

Deno.test("README says when a drain from disk ends early, as the code has it", () => {
  assert(PROSE.includes(`no analyzer has been available for ${STUCK_MS / 1000} s`));
});

Deno.test("README names the log's events of analyzers, which the code writes", () => {
  const [, words, sources] =
    /`analyzer (registered.+?)` are changes, with their `source`: `(.+?)`\./s.exec(README) ?? [];
  const code = ["roster", "registry"].map((file) =>
    Deno.readTextFileSync(new URL(`src/${file}.ts`, ROOT))
  ).join("");
  for (const word of words!.replaceAll(/\s+/g, " ").split(/`(?:, | and )`/)) {
    assert(code.includes(`"analyzer ${word}"`), word);
  }
  for (const source of sources!.split(/`\s+or\s+`/)) assert(code.includes(`"${source}"`), source);
  assert(README.includes("`analyzers restored`") && code.includes('"analyzers restored"'));
});

Deno.test("README gives the time that shares are over, in the terminal and on the page", () => {
  const series = Deno.readTextFileSync(new URL("src/dashboard/client/series.js", ROOT));
  const [, pageSeconds] = /SHARE_SECONDS = (\d+)/.exec(series) ?? [];
  assert(PROSE.includes(`Its actual shares are over the last ${WINDOW_SECONDS} s,`));
  assert(PROSE.includes(`the page's, over ${pageSeconds} s,`));
});
