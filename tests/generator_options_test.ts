import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseSettings } from "../generator/options.ts";
import { UsageError } from "../src/errors.ts";

Deno.test("parseSettings() has the defaults of the help", () => {
  const settings = parseSettings([]);
  assertEquals(settings.url, "http://localhost:8080");
  assertEquals(settings.agent, "agent-1");
  assertEquals(settings.rate, 10);
  assertEquals(settings.batch, { min: 10, max: 10 });
  assertEquals(settings.durationMs, 60_000);
  assertEquals(settings.timeoutMs, 10_000);
  assertEquals(settings.concurrency, 256);
  assertEquals(settings.retry, false);
  assertEquals(settings.seed, undefined);
});

Deno.test("parseSettings() takes Go's flags", () => {
  const args = ["-url", "http://localhost:9", "-rate", "20", "-batch", "10", "-duration", "1m30s"];
  const settings = parseSettings(args);
  assertEquals(settings.url, "http://localhost:9");
  assertEquals(settings.rate, 20);
  assertEquals(settings.durationMs, 90_000);
});

Deno.test("parseSettings() lets --packets replace the default duration only", () => {
  assertEquals(parseSettings(["--packets=5"]).durationMs, Infinity);
  assertEquals(parseSettings(["--packets=5", "--duration=2s"]).durationMs, 2000);
  assertEquals(parseSettings(["--duration=0"]).durationMs, Infinity);
});

Deno.test("parseSettings() takes a range of messages", () => {
  assertEquals(parseSettings(["--batch=1..1000"]).batch, { min: 1, max: 1000 });
});

const MISTAKES: [name: string, args: string[], told: string][] = [
  ["an unknown flag", ["--rat"], "did you mean --rate?"],
  ["a rate of zero", ["--rate", "0"], 'Invalid value "0" for flag --rate: allowed is a number'],
  ["a rate in words", ["-rate", "fast"], 'Invalid value "fast" for flag --rate'],
  ["an empty batch", ["--batch", "0"], 'Invalid value "0" for flag --batch'],
  ["a fractional batch", ["--batch", "1.5"], 'Invalid value "1.5" for flag --batch'],
  ["a range the wrong way round", ["--batch", "9..1"], 'Invalid value "9..1" for flag --batch'],
  ["a duration without a unit", ["--duration", "60"], "a duration such as 500ms"],
  ["no place for a request", ["--concurrency", "0"], "flag --concurrency"],
  ["an agent with a space", ["--agent", "a b"], "flag --agent"],
  ["a URL of another scheme", ["--url", "ftp://x"], "flag --url"],
  ["a missing value", ["--seed"], "Missing value for flag --seed"],
  ["a word that is no flag", ["20"], 'Unexpected argument "20"'],
];

for (const [name, args, told] of MISTAKES) {
  Deno.test(`parseSettings() explains ${name} in one line`, () => {
    const error = assertThrows(() => parseSettings(args), UsageError);
    assertStringIncludes(error.message, told);
    assertEquals(error.message.split("\n").length, 1);
  });
}
