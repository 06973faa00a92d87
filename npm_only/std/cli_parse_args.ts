/** Stand-in for `@std/cli/parse-args`: string options written `--key=value`, nothing else. */

export interface ParseOptions {
  /** Keys whose values stay strings. */
  readonly string: readonly string[];
}

export interface Args {
  [key: string]: unknown;
  _: (string | number)[];
}

/**
 * Reads `--key=value`; the last of equal keys counts.
 *
 * @throws {TypeError} on what only the real module understands
 */
export function parseArgs(args: string[], options: ParseOptions): Args {
  const parsed: Args = { _: [] };
  for (const arg of args) {
    const [, key, value] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (key === undefined || !options.string.includes(key)) {
      throw new TypeError(`Cannot parse ${JSON.stringify(arg)} without std: only string options`);
    }
    parsed[key] = value;
  }
  return parsed;
}
