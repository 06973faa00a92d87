/**
 * Command lines of curl as they stand in README, sent with `fetch` as curl would send them.
 *
 * Knows the options that README uses, and no other.
 */

const WORD = /'([^']*)'|"([^"]*)"|(\S+)/g;

/** Reads `curl …` as a shell and curl do: `-d` alone makes it a POST of a form. */
export function parseCurl(line: string): Request {
  const words = [...line.matchAll(WORD)].map(([, single, double, bare]) =>
    single ?? double ?? bare!
  );
  if (words.shift() !== "curl") throw new Error(`Not a command of curl: ${line}`);
  const headers = new Headers();
  let method: string | undefined;
  let body: string | undefined;
  let url: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "-X") method = words.shift()!;
    else if (word === "-d") body = words.shift()!;
    else if (word === "-H") {
      const [, name, value] = /^([\w-]+): (.*)$/.exec(words.shift()!)!;
      headers.set(name!, value!);
    } else if (word.startsWith("http://") && url === undefined) url = word;
    else throw new Error(`Unknown word ${JSON.stringify(word)} in: ${line}`);
  }
  if (body !== undefined && !headers.has("content-type")) {
    headers.set("content-type", "application/x-www-form-urlencoded");
  }
  method ??= body === undefined ? "GET" : "POST";
  return new Request(url!, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** The lines that start with `curl` in a text's blocks of shell commands. */
export function findCurlLines(text: string): string[] {
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) =>
    block!.split("\n").filter((line) => line.startsWith("curl "))
  );
}
