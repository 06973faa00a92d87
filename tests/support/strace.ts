/** Runs a program under strace: makes its system calls fail, or keeps a record of their order. */

/** A call that fails from its N-th time on a thread, once. */
export interface Injection {
  /** Such as `fsync,fdatasync`. */
  readonly calls: string;
  readonly error: "EIO" | "ENOSPC";
  readonly at: number;
}

/** One line of a record that stands for a call's end. */
export interface Call {
  readonly thread: number;
  readonly name: string;
  /** As strace writes them, with descriptors decoded to paths. */
  readonly text: string;
  readonly result: number;
  readonly isInjected: boolean;
}

/** The words to put before a command, for a record of these calls in a file. */
export function straceWords(
  calls: string,
  { record, inject }: { record: string; inject?: Injection },
): string[] {
  const traced = inject ? `${calls},${inject.calls}` : calls;
  const words = ["strace", "-D", "-f", "-qq", "-y", "-s", "32", "-e", "signal=none"];
  words.push("-e", `trace=${traced}`, "-o", record);
  if (inject) words.push("-e", `inject=${inject.calls}:error=${inject.error}:when=${inject.at}`);
  return words;
}

/** Whether strace is there and may trace. */
export async function canTrace(): Promise<boolean> {
  try {
    const command = new Deno.Command("strace", {
      args: ["-qq", "-o", "/dev/null", "true"],
      stderr: "null",
    });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

/** Reads a record: calls in the order of their ends, those cut in two put together. */
export function parseRecord(text: string): Call[] {
  const begun = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of text.split("\n")) {
    const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (unfinished) {
      begun.set(thread, unfinished[1]!);
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const whole = resumed ? `${begun.get(thread) ?? ""}${resumed[1]}` : rest;
    const call = parseCall(Number(thread), whole);
    if (call) calls.push(call);
  }
  return calls;
}

function parseCall(thread: number, text: string): Call | undefined {
  const found = /^(\w+)\((.*)\)\s+= (-?\d+)(.*)$/.exec(text);
  if (!found) return undefined;
  const [, name, args, result, rest] = found;
  return {
    thread,
    name: name!,
    text: args!,
    result: Number(result),
    isInjected: rest!.includes("(INJECTED)"),
  };
}
