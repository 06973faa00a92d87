/**
 * What happens in the demo, chapter by chapter; each ends with a verdict.
 *
 * Everything it knows it has from the programs' own interfaces: the distributor's metrics, the
 * generators' reports, and the packet ids that the analyzers print.
 */

import type { AnalyzerView } from "../src/analyzer_view.ts";
import { sleep, systemClock } from "../src/clock.ts";
import { type AnalyzerId, BATCH, type Cast, IDS, type Load, WEIGHTS } from "./cast.ts";
import { describeEvent } from "./events.ts";
import { abortable, type Reading, Readings } from "./readings.ts";
import type { Screen } from "./screen.ts";
import { type Chapter, formatTime, paint } from "./table.ts";
import {
  judgeAccounts,
  judgeBooks,
  judgeBurst,
  judgeShares,
  measureShares,
  sharesOf,
  type Verdict,
} from "./verdicts.ts";

const STEADY_RATE = 400;
const BURST_RATE = 5000;
const BURST_SECONDS = 5;
const SETTLE_SECONDS = 1;
const MEASURE_SECONDS = 8;
/** The one that is killed. */
const VICTIM: AnalyzerId = "analyzer2";
/** A first start may have to fetch packages. */
const START_TIMEOUT_MS = 60_000;
const HEALTH_TIMEOUT_MS = 25_000;

const CHAPTERS = {
  start: {
    title: "Starting",
    look: "A distributor, four analyzers and a generator, each a process of its own.",
  },
  settle: {
    title: "1/5 Shares settle",
    look: "Watch actual meet target: shares count messages, whatever the packets' sizes.",
  },
  kill: {
    title: `2/5 ${VICTIM} is killed`,
    look: "Its 0.3 goes to the others in proportion to their weights: .571 .286 .143.",
  },
  comeBack: {
    title: `3/5 ${VICTIM} comes back`,
    look: "Probation first, then slow start: its share grows back, and it is not flooded.",
  },
  burst: {
    title: "4/5 A burst of load",
    look: "Watch packets/s. A full queue would answer 503, and the generator send again.",
  },
  account: {
    title: "5/5 Each packet is accounted for",
    look: "The load stops. Every 202 is held against the ids that the analyzers printed.",
  },
  keep: {
    title: "Running until Ctrl-C",
    look: "Change a weight, break an analyzer, look around: the commands are above.",
  },
} satisfies Record<string, Chapter>;

export interface StoryDoors {
  readonly cast: Cast;
  readonly screen: Screen;
  /** Ends the story at any point; its reason is thrown. */
  readonly signal: AbortSignal;
  readonly configPath: string;
  readonly dataDir: string;
}

export class Story {
  /** Whether it has been told and only goes on. */
  isKept = false;
  readonly #doors: StoryDoors;
  readonly #readings: Readings;
  readonly #startedMs = systemClock.monotonicMs();
  #chapter: Chapter = CHAPTERS.start;
  #doing = "starting";
  #steady: Load | undefined;
  /** 202s in the generators' reports. */
  #accepted = 0;

  constructor(doors: StoryDoors) {
    this.#doors = doors;
    this.#readings = new Readings(doors.cast.url, {
      signal: doors.signal,
      onReading: (recent) => this.#draw(recent),
    });
  }

  get elapsedSeconds(): number {
    return (systemClock.monotonicMs() - this.#startedMs) / 1000;
  }

  /** Tells all of it. */
  async tell(): Promise<Verdict[]> {
    void this.#readings.run();
    await this.#start();
    const verdicts = [
      await this.#play(CHAPTERS.settle, () => this.#settle()),
      await this.#play(CHAPTERS.kill, () => this.#kill()),
      await this.#play(CHAPTERS.comeBack, () => this.#comeBack()),
      await this.#play(CHAPTERS.burst, () => this.#burst()),
      await this.#play(CHAPTERS.account, () => this.#account()),
    ];
    return [...verdicts, judgeBooks(this.#readings)];
  }

  /** Goes on with the steady load until the signal, whose reason it throws. */
  async keep(): Promise<never> {
    const { cast, signal } = this.#doors;
    this.isKept = true;
    this.#chapter = CHAPTERS.keep;
    this.#doing = "Ctrl-C stops it";
    cast.startLoad("steady", { rate: STEADY_RATE });
    return await abortable(new Promise<never>(() => {}), signal);
  }

  async #play(chapter: Chapter, play: () => Promise<Verdict>): Promise<Verdict> {
    const { screen } = this.#doors;
    this.#chapter = chapter;
    screen.begin(chapter.title, chapter.look);
    const verdict = await play();
    const mark = verdict.holds ? paint("✔", "green", screen.look) : paint("✘", "red", screen.look);
    screen.say(`${mark} ${chapter.title}`);
    return verdict;
  }

  async #start(): Promise<void> {
    const { cast, configPath, dataDir } = this.#doors;
    cast.startDistributor({ configPath, dataDir, onLog: (line) => this.#tellEvent(line) });
    await this.#readings.until(() => true, {
      name: "the distributor answers",
      timeoutMs: START_TIMEOUT_MS,
    });
    for (const id of IDS) cast.startAnalyzer(id);
    await this.#readings.until(({ analyzers }) => analyzers.length === IDS.length, {
      name: "all analyzers have registered",
      timeoutMs: START_TIMEOUT_MS,
    });
    this.#note("four analyzers have registered themselves");
    this.#steady = cast.startLoad("steady", { rate: STEADY_RATE });
    await this.#readings.until(({ delivered }) => delivered.packets > 0, {
      name: "the first packet is delivered",
      timeoutMs: START_TIMEOUT_MS,
    });
  }

  async #settle(): Promise<Verdict> {
    this.#note(`load: ${STEADY_RATE} packets/s of ${BATCH} messages, heavy-tailed`);
    await this.#pause(SETTLE_SECONDS, "settling");
    return await this.#measure("shares match the weights", await this.#readings.next());
  }

  async #kill(): Promise<Verdict> {
    this.#doors.cast.killAnalyzer(VICTIM);
    this.#note(`kill -9 ${VICTIM}, in the middle of its work`);
    this.#doing = "waiting for the distributor to notice";
    const from = await this.#victimIs((analyzer) => analyzer.state === "ejected", "is ejected");
    return await this.#measure(`without ${VICTIM} its share moves in proportion`, from, [VICTIM]);
  }

  async #comeBack(): Promise<Verdict> {
    this.#doors.cast.startAnalyzer(VICTIM);
    this.#note(`${VICTIM} is started again on the same port`);
    this.#doing = "waiting until it has its whole share again";
    const whole = sharesOf(IDS.map((id) => WEIGHTS[id]))[IDS.indexOf(VICTIM)]!;
    const from = await this.#victimIs(
      ({ state, share }) => state === "healthy" && share.target > whole - 0.001,
      "has its whole share again",
    );
    this.#note(`${VICTIM} has its whole share again`);
    return await this.#measure(`${VICTIM} is back and the shares match the weights`, from);
  }

  async #burst(): Promise<Verdict> {
    const { cast, signal } = this.#doors;
    this.#note(`a second generator: ${BURST_RATE} packets/s for ${BURST_SECONDS} s`);
    this.#doing = "bursting";
    const load = cast.startLoad("burst", { rate: BURST_RATE, seconds: BURST_SECONDS });
    const report = await abortable(load.report, signal);
    this.#accepted += report.accepted;
    return judgeBurst(report);
  }

  async #account(): Promise<Verdict> {
    const { cast, signal } = this.#doors;
    this.#doing = "waiting for the last packets";
    this.#steady!.stop();
    this.#accepted += (await abortable(this.#steady!.report, signal)).accepted;
    const { metrics } = await this.#readings.until(
      ({ queued, in_flight }) => queued.packets + in_flight.packets === 0,
      { name: "all that was accepted is delivered", timeoutMs: 10_000 },
    );
    await cast.settleJournals(signal);
    cast.isCounting = false;
    return judgeAccounts({
      accepted: this.#accepted,
      received: cast.received,
      distinct: cast.ids.size,
      deadLetters: metrics.dead_lettered.packets,
      queued: metrics.queued.packets + metrics.in_flight.packets,
    });
  }

  async #measure(claim: string, from: Reading, out: AnalyzerId[] = []): Promise<Verdict> {
    await this.#pause(MEASURE_SECONDS, "measuring");
    const to = await this.#readings.next();
    const measured = measureShares(IDS, { from: from.metrics, to: to.metrics });
    return judgeShares(
      claim,
      measured,
      sharesOf(IDS.map((id) => out.includes(id) ? 0 : WEIGHTS[id])),
    );
  }

  #victimIs(condition: (analyzer: AnalyzerView) => boolean, what: string): Promise<Reading> {
    return this.#readings.until(
      ({ analyzers }) =>
        analyzers.some((analyzer) => analyzer.id === VICTIM && condition(analyzer)),
      { name: `${VICTIM} ${what}`, timeoutMs: HEALTH_TIMEOUT_MS },
    );
  }

  async #pause(seconds: number, doing: string): Promise<void> {
    const { signal } = this.#doors;
    this.#doing = `${doing} for ${seconds} s`;
    await sleep(seconds * 1000, systemClock, signal);
    signal.throwIfAborted();
  }

  #tellEvent(line: string): void {
    if (this.#doors.signal.aborted) return;
    const event = describeEvent(line);
    if (event !== undefined) this.#note(event);
  }

  #note(text: string): void {
    this.#doors.screen.say(formatTime(this.elapsedSeconds) + text);
  }

  #draw(recent: readonly Reading[]): void {
    const { screen } = this.#doors;
    // Nobody wants plain lines for ever.
    if (this.isKept && !screen.isLive) return;
    const { elapsedSeconds } = this;
    screen.draw({
      chapter: this.#chapter,
      doing: this.#doing,
      elapsedSeconds,
      recent,
    });
  }
}
