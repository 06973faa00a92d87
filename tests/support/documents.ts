/** What is written for other programs to read: YAML files, Dockerfile, units, README. */

import { parseAllDocuments } from "yaml";

const ROOT = new URL("../../", import.meta.url);

/** Any value that YAML can hold; tests say what they take it for. */
// deno-lint-ignore no-explicit-any
export type Yaml = any;

export function readText(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** Parses every document of a YAML file, `<<` included, and refuses what it warns of. */
export function readYaml(path: string): Yaml[] {
  return parseAllDocuments(readText(path), { merge: true, prettyErrors: true }).map((document) => {
    for (const fault of [...document.errors, ...document.warnings]) {
      throw new Error(`${path}: ${fault.message}`);
    }
    return document.toJS();
  });
}

/** One instruction of a Dockerfile, its continued lines joined. */
export interface Instruction {
  readonly word: string;
  readonly rest: string;
}

export function readDockerfile(path: string): Instruction[] {
  return readText(path)
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, word, rest] = /^(\w+)\s+(.*)$/.exec(line)!;
      return { word: word!, rest: rest! };
    });
}

/** `KEY=value` pairs as ENV, LABEL and ARG write them. */
export function readPairs(text: string): Record<string, string> {
  const pairs = text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S*))/g);
  return Object.fromEntries([...pairs].map(([, key, quoted, bare]) => [key, quoted ?? bare!]));
}
