import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseAnalyzer, parseAnalyzerChange } from "../src/analyzer_config.ts";
import { ApiError } from "../src/errors.ts";

const GOOD = { id: "analyzer1", url: "http://localhost:8081", weight: 0.4 };

function fault(parse: () => unknown): string {
  const error = assertThrows(parse, ApiError);
  assertEquals([error.code, error.status], ["INVALID_ANALYZER", 422]);
  assert(!error.message.includes("\n"));
  return error.message;
}

Deno.test("parseAnalyzer() takes what the contract allows", () => {
  const cases: [string, Partial<Record<keyof typeof GOOD, unknown>>][] = [
    ["the seed's", {}],
    ["every character of an id", { id: "Az09._-" }],
    ["an id of 64", { id: "i".repeat(64) }],
    ["https, a path", { url: "https://host.example/base/path" }],
    ["an IPv6 address", { url: "http://[::1]:8081" }],
    ["the largest weight", { weight: 1e6 }],
    ["the smallest weight", { weight: 5e-324 }],
  ];
  for (const [name, change] of cases) {
    assertEquals(parseAnalyzer({ ...GOOD, ...change }), { ...GOOD, ...change }, name);
  }
  assert(Object.isFrozen(parseAnalyzer(GOOD)));
});

Deno.test("parseAnalyzer() writes URLs in one form and passes over unknown fields", () => {
  const cases = [
    ["http://LOCALHOST:8081/", "http://localhost:8081"],
    ["http://host:80//", "http://host"],
    ["http://host/a/b/", "http://host/a/b"],
  ];
  for (const [url, written] of cases) {
    assertEquals(parseAnalyzer({ ...GOOD, url, extra: 1 }), { ...GOOD, url: written });
  }
});

Deno.test("parseAnalyzer() names the field at fault and what is allowed", () => {
  const cases: [unknown, string][] = [
    [null, "expected a JSON object with id, url, weight"],
    [[GOOD], "expected a JSON object"],
    ["x", "expected a JSON object"],
    [{}, "id must be"],
    [{ ...GOOD, id: "" }, "id must be 1 to 64 characters"],
    [{ ...GOOD, id: "i".repeat(65) }, "id must be"],
    [{ ...GOOD, id: "a b" }, "id must be"],
    [{ ...GOOD, id: "a\n" }, "id must be"],
    [{ ...GOOD, id: "ä" }, "id must be"],
    [{ ...GOOD, id: 7 }, "id must be"],
    [{ ...GOOD, url: undefined }, "url must be an http or https URL"],
    [{ ...GOOD, url: "localhost:8081" }, "url must begin with http"],
    [{ ...GOOD, url: "/path" }, "url must be an http or https URL"],
    [{ ...GOOD, url: "ftp://host" }, "url must begin with http"],
    [{ ...GOOD, url: "file:///etc/passwd" }, "url must begin with http"],
    [{ ...GOOD, url: "http://user@host" }, "url must not hold a user name"],
    [{ ...GOOD, url: "http://:secret@host" }, "url must not hold a user name"],
    [{ ...GOOD, url: "http://host/?q" }, "url must not hold a query"],
    [{ ...GOOD, url: "http://host/#f" }, "url must not hold a query"],
    [{ ...GOOD, url: "http://host/?" }, "url must not hold a query"],
    [{ ...GOOD, url: "http://host#" }, "url must not hold a query"],
    [{ ...GOOD, url: `http://host/${"p".repeat(2048)}` }, "url must be"],
    [{ ...GOOD, weight: undefined }, "weight must be a number above 0 and at most 1000000"],
    [{ ...GOOD, weight: "0.4" }, "weight must be"],
    [{ ...GOOD, weight: 0 }, "weight must be"],
    [{ ...GOOD, weight: -1 }, "weight must be"],
    [{ ...GOOD, weight: NaN }, "weight must be"],
    [{ ...GOOD, weight: Infinity }, "weight must be"],
    [{ ...GOOD, weight: 1_000_000.1 }, "weight must be"],
  ];
  for (const [value, says] of cases) {
    const message = fault(() => parseAnalyzer(value));
    assert(message.includes(says), `${JSON.stringify(value)}: ${message}`);
  }
});

Deno.test("parseAnalyzerChange() takes weight, paused or both, and nothing else", () => {
  for (const change of [{ weight: 2 }, { paused: true }, { paused: false, weight: 1e-6 }]) {
    assertEquals(parseAnalyzerChange(change), change);
  }
  const cases: [unknown, string][] = [
    [7, "expected a JSON object with weight, paused"],
    [{}, "give weight, paused or both"],
    [{ weight: 0 }, "weight must be"],
    [{ weight: null }, "weight must be"],
    [{ paused: "yes" }, "paused must be true or false"],
    [{ paused: null }, "paused must be true or false"],
    [{ weight: 1, url: "http://x" }, 'unknown field "url": allowed are weight, paused'],
  ];
  for (const [value, says] of cases) {
    const message = fault(() => parseAnalyzerChange(value));
    assert(message.includes(says), `${JSON.stringify(value)}: ${message}`);
  }
});
