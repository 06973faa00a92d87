/** Checks what an operator says of an analyzer: in the API and in the config file alike. */

import type { AnalyzerConfig } from "./analyzer.ts";
import { ApiError } from "./errors.ts";

/** `.` and `..` would be taken for steps in a URL's path. */
const ID = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;
const MAX_WEIGHT = 1e6;
const MAX_URL_LENGTH = 2048;

/**
 * Reads `{"id","url","weight"}`; other fields are passed over.
 *
 * @throws {ApiError} INVALID_ANALYZER, naming the field and what is allowed
 */
export function parseAnalyzer(value: unknown): AnalyzerConfig {
  const { id, url, weight } = asFields(value, ["id", "url", "weight"]);
  if (typeof id !== "string" || !ID.test(id)) {
    throw invalid("id must be 1 to 64 characters of A-Z a-z 0-9 . _ - and not . or ..");
  }
  return Object.freeze({ id, url: parseUrl(url), weight: parseWeight(weight) });
}

/**
 * Reads `{"weight"?, "paused"?}`.
 *
 * @throws {ApiError} INVALID_ANALYZER, naming the field and what is allowed
 */
export function parseAnalyzerChange(value: unknown): { weight?: number; paused?: boolean } {
  const known = ["weight", "paused"];
  const { weight, paused } = asFields(value, known);
  const unknown = Object.keys(value as object).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw invalid(`unknown field ${JSON.stringify(unknown)}: allowed are ${known.join(", ")}`);
  }
  if (weight === undefined && paused === undefined) {
    throw invalid("give weight, paused or both");
  }
  if (paused !== undefined && typeof paused !== "boolean") {
    throw invalid("paused must be true or false");
  }
  return {
    ...(weight === undefined ? {} : { weight: parseWeight(weight) }),
    ...(paused === undefined ? {} : { paused }),
  };
}

function asFields(value: unknown, known: string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`expected a JSON object with ${known.join(", ")}`);
  }
  return value as Record<string, unknown>;
}

function parseWeight(weight: unknown): number {
  if (typeof weight !== "number" || !(weight > 0 && weight <= MAX_WEIGHT)) {
    throw invalid(`weight must be a number above 0 and at most ${MAX_WEIGHT}`);
  }
  return weight;
}

function parseUrl(text: unknown): string {
  if (typeof text !== "string" || text.length > MAX_URL_LENGTH || !URL.canParse(text)) {
    throw invalid("url must be an http or https URL, such as http://localhost:8081");
  }
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid("url must begin with http:// or https://");
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("url must not hold a user name or password");
  }
  if (/[?#]/.test(url.href)) {
    throw invalid("url must not hold a query or fragment: /analyze and /health are appended to it");
  }
  return url.href.replace(/\/+$/, "");
}

function invalid(detail: string): ApiError {
  return new ApiError("INVALID_ANALYZER", detail);
}
