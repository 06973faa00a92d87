import { assert, assertEquals } from "@std/assert";
import denoConfig from "../deno.json" with { type: "json" };
import { STUCK_MS } from "../src/drain.ts";
import { OPTIONS } from "../src/config.ts";
import { DEFAULT_HEALTH } from "../src/health.ts";
import { ERROR_CODES, statusOf } from "../src/errors.ts";
import { flagName } from "../src/flags.ts";
import { WINDOW_SECONDS } from "../src/window.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
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

Deno.test("README gives each error code of ingest with its status", () => {
  for (const [, status, codes] of README.matchAll(/\| `(\d{3})` ((?:`[A-Z_0-9]+`(?:, )?)+)/g)) {
    for (const [, code] of codes!.matchAll(/`([A-Z_0-9]+)`/g)) {
      const known = ERROR_CODES.find((candidate) => candidate === code);
      assert(known !== undefined, `there is no code ${code}`);
      assertEquals(statusOf(known), Number(status), code);
    }
  }
});

Deno.test("README gives the health defaults that are in the code", () => {
  const { fall, connectFailures, serverFailures, minPackets, probationSuccesses } = DEFAULT_HEALTH;
  for (
    const phrase of [
      `${fall} failures in a row, and it is out`,
      `${connectFailures} failed connections or timeouts in a row`,
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

Deno.test("README says when a drain from disk ends early, as the code has it", () => {
  const text = README.replaceAll("\n", " ");
  assert(text.includes(`no analyzer has been available for ${STUCK_MS / 1000} s`));
});

Deno.test("README names the log's events of analyzers, which the code writes", () => {
  const [, words, sources] =
    /`analyzer (registered.+?)` are changes, with their `source`: `(.+?)`\./s.exec(README) ?? [];
  const code = ["roster", "registry"].map((file) =>
    Deno.readTextFileSync(new URL(`src/${file}.ts`, ROOT))
  ).join("");
  for (const word of words!.match(/[a-z]{4,}/g)!) assert(code.includes(`"analyzer ${word}"`), word);
  for (const source of sources!.split(/`\s+or\s+`/)) assert(code.includes(`"${source}"`), source);
  assert(README.includes("`analyzers restored`") && code.includes('"analyzers restored"'));
});

Deno.test("README gives the time that shares are over, in the terminal and on the page", () => {
  const series = Deno.readTextFileSync(new URL("src/dashboard/client/series.js", ROOT));
  const [, pageSeconds] = /SHARE_SECONDS = (\d+)/.exec(series) ?? [];
  const text = README.replaceAll("\n", " ");
  assert(text.includes(`Its actual shares are over the last ${WINDOW_SECONDS} s,`));
  assert(text.includes(`the page's, over ${pageSeconds} s,`));
});
