/** wrk: the script it runs, and what it says at the end. */

/** What wrk has counted. Requests that its end cut off are in none of it. */
export interface WrkReport {
  /** Answers. */
  readonly requests: number;
  /** Of these, with a status above 399. */
  readonly refused: number;
  readonly seconds: number;
  readonly socketErrors: {
    readonly connect: number;
    readonly read: number;
    readonly write: number;
    /** Answers that took more than 2 s; they count as requests all the same. */
    readonly timeout: number;
  };
  /** Under full load, from the moment of sending. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/**
 * Writes the script: packets of a file in turn, one a line.
 *
 * It has no response(): wrk would build a table of headers for each answer, and be the bottleneck.
 * Statuses above 399 are in its summary, and which they were in the distributor's metrics.
 */
export function writeScript(packetsPath: string): string {
  return `local requests, at = {}, 0

function init()
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(${JSON.stringify(packetsPath)}) do
    requests[#requests + 1] = wrk.format("POST", "/api/v1/logs", headers, line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests":%d,"refused":%d,"seconds":%.6f,' ..
      '"socketErrors":{"connect":%d,"read":%d,"write":%d,"timeout":%d},' ..
      '"latencyMs":{"p50":%.3f,"p99":%.3f,"max":%.3f}}',
    summary.requests, errors.status, summary.duration / 1e6,
    errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
`;
}

/**
 * Reads what the script has printed.
 *
 * @throws {Error} when there is no result
 */
export function parseReport(printed: string): WrkReport {
  const json = /^RESULT (\{.*\})$/m.exec(printed)?.[1];
  if (json === undefined) throw new Error(`Cannot read wrk's result: ${printed.trim()}`);
  return JSON.parse(json);
}

/** Packets ready to be sent by wrk. */
export interface Ammunition {
  readonly script: string;
  readonly messages: number;
  /** Length of each packet as sent. */
  readonly packetBytes: number;
}

/** Writes packets and script into a folder. */
export function prepareWrk(
  folder: string,
  { packets, messages }: { packets: readonly Uint8Array[]; messages: number },
): Ammunition {
  const decoder = new TextDecoder();
  const packetsPath = `${folder}/packets-${messages}.ndjson`;
  const script = `${folder}/wrk-${messages}.lua`;
  Deno.writeTextFileSync(
    packetsPath,
    packets.map((packet) => `${decoder.decode(packet)}\n`).join(""),
  );
  Deno.writeTextFileSync(script, writeScript(packetsPath));
  return { script, messages, packetBytes: packets[0]!.length };
}

/** Runs wrk with one thread; only whole seconds are possible. */
export async function runWrk(
  wrk: string,
  load: { url: string; script: string; connections: number; seconds: number; signal: AbortSignal },
): Promise<WrkReport> {
  const { url, script, connections, seconds, signal } = load;
  const { stdout, stderr } = await new Deno.Command(wrk, {
    args: ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url],
    signal,
  }).output();
  const decoder = new TextDecoder();
  return parseReport(decoder.decode(stdout) + decoder.decode(stderr));
}
