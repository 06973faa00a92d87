/**
 * Writes the option tables of README.md from the programs themselves: `deno task docs`.
 *
 * Between `<!-- NAME -->` and `<!-- /NAME -->` stands what is generated; a test compares.
 */

import { OPTIONS } from "../src/config.ts";
import { allowedValues, flagName, type OptionTable } from "../src/flags.ts";

/** One Markdown table row an option. */
export function describeOptions(table: OptionTable): string {
  const rows = Object.entries(table).map(([key, option]) =>
    `| \`--${flagName(key)}\` | ${option.default ?? ""} | ${option.help} (${
      allowedValues(option)
    }) |`
  );
  return ["| flag | default | what it does |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Replaces what stands between the marks of `name`. */
export function replaceSection(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const start = text.indexOf(open);
  const end = text.indexOf(close);
  if (start < 0 || end < start) throw new Error(`Cannot find the marks of ${JSON.stringify(name)}`);
  return `${text.slice(0, start + open.length)}\n\n${content}\n\n${text.slice(end)}`;
}

if (import.meta.main) {
  const path = new URL("../README.md", import.meta.url);
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, replaceSection(text, "options", describeOptions(OPTIONS)));
}
