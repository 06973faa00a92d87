/** Config files with `{{name}}` where a value goes. */

/**
 * Puts the values in.
 *
 * @throws {Error} when the template asks for a value that is not there
 */
export function fillTemplate(
  template: string,
  values: Readonly<Record<string, string | number>>,
): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`Cannot fill ${JSON.stringify(name)}: no value`);
    return String(value);
  });
}

/** Fills one of the bench's own templates and writes it into a folder; returns its path. */
export function writeConfig(
  folder: string,
  name: string,
  { template, values }: { template: string; values: Readonly<Record<string, string | number>> },
): string {
  const text = Deno.readTextFileSync(new URL(template, import.meta.url));
  const path = `${folder}/${name}-${template}`;
  Deno.writeTextFileSync(path, fillTemplate(text, values));
  return path;
}
