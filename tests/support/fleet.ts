/**
 * Mock analyzers in this process that can be killed and started again, each on its own port.
 *
 * What a killed analyzer has processed still counts: its record is merged with its successors'.
 */

import {
  type MockAnalyzer,
  type MockAnalyzerOptions,
  startMockAnalyzer,
} from "../../analyzers/mock_analyzer.ts";
import { eventually } from "./eventually.ts";

/** One analyzer through its lives. */
interface Member {
  readonly id: string;
  readonly weight: number;
  readonly options: MockAnalyzerOptions;
  readonly lives: MockAnalyzer[];
  isUp: boolean;
}

/** How often each packet id was processed. */
export type Seen = ReadonlyMap<string, number>;

export class Fleet {
  readonly #members = new Map<string, Member>();

  /** Ids in the order in which they were added. */
  get ids(): string[] {
    return [...this.#members.keys()];
  }

  /** Starts an analyzer more; port 0 unless told otherwise. */
  async add(id: string, weight: number, options: MockAnalyzerOptions = {}): Promise<MockAnalyzer> {
    const analyzer = await startMockAnalyzer({ ...options, id });
    const kept = { ...options, id, port: analyzer.port };
    this.#members.set(id, { id, weight, options: kept, lives: [analyzer], isUp: true });
    return analyzer;
  }

  /** The analyzer as it is now, or was last. */
  get(id: string): MockAnalyzer {
    return this.#member(id).lives.at(-1)!;
  }

  weight(id: string): number {
    return this.#member(id).weight;
  }

  isUp(id: string): boolean {
    return this.#member(id).isUp;
  }

  /** Frees its port and breaks its connections, as kill -9 does. */
  async kill(id: string): Promise<void> {
    const member = this.#member(id);
    if (!member.isUp) return;
    member.isUp = false;
    await this.get(id).kill();
  }

  /** Starts it again on the same port, with nothing remembered by itself. */
  async start(id: string): Promise<void> {
    const member = this.#member(id);
    if (member.isUp) return;
    // Meanwhile an outgoing connection may have been given its port.
    member.lives.push(
      await eventually(() => startMockAnalyzer(member.options), {
        name: `${id} listens on port ${member.options.port} again`,
        timeoutMs: 90_000,
      }),
    );
    member.isUp = true;
  }

  /** What one analyzer has processed in all its lives. */
  seenBy(id: string): Map<string, number> {
    return merge(this.#member(id).lives.map((life) => life.ids()));
  }

  /** What all analyzers have processed. */
  seen(): Map<string, number> {
    return merge(this.ids.map((id) => this.seenBy(id)));
  }

  /** Messages each analyzer has processed in all its lives. */
  messages(): Map<string, number> {
    return new Map([...this.#members.values()].map(({ id, lives }) => [
      id,
      lives.reduce((sum, life) => sum + life.stats().messages, 0),
    ]));
  }

  async close(): Promise<void> {
    const up = [...this.#members.values()].filter((member) => member.isUp);
    for (const member of up) member.isUp = false;
    await Promise.all(up.map(({ lives }) => lives.at(-1)!.close()));
  }

  #member(id: string): Member {
    const member = this.#members.get(id);
    if (!member) throw new Error(`Cannot find analyzer ${JSON.stringify(id)} in the fleet`);
    return member;
  }
}

function merge(records: Seen[]): Map<string, number> {
  const merged = new Map<string, number>();
  for (const record of records) {
    for (const [id, times] of record) merged.set(id, (merged.get(id) ?? 0) + times);
  }
  return merged;
}

/** The parts of a whole that the messages since `before` make. */
export function sharesSince(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Map<string, number> {
  const grown = [...after].map(([id, messages]) => [id, messages - (before.get(id) ?? 0)] as const);
  const total = grown.reduce((sum, [, messages]) => sum + messages, 0);
  return new Map(grown.map(([id, messages]) => [id, total === 0 ? 0 : messages / total]));
}
