/** Whether all is well, and if not, what is the matter: the line above everything else. */

import { byId, el, setData, setText } from "./dom.js";
import { age, clockTime, whole } from "./format.js";
import { SHARE_SECONDS, shownShare } from "./series.js";
import { isBalanced } from "./status.js";

/** A share that is further from its target than this has not arrived there. */
const NEAR_PART = 0.05;
/** Of small targets, so much: else nothing at all would be near them. */
const NEAR_TARGET_PART = 0.5;
/** Or so many packets, where few come in: a packet goes whole to one analyzer. */
const NEAR_PACKETS = 3;
/** Of analyzers that fail, so many are named. */
const MAX_NAMED = 3;
/** Packets of this age have not just come. */
const WAITING_SECONDS = 1;
/** So much of the queue is more than what has just come. */
const WAITING_PART = 0.1;

/**
 * What there is to say of a snapshot, the worst first; pure.
 *
 * @param shares as `Series` has them
 * @param flows whether anything was delivered in the last seconds
 * @param failures as `Failures` counts them
 * @returns {{tone: "bad" | "warn" | "note" | "good", text: string}[]}
 */
export function judge(snapshot, { shares, flows, failures }) {
  const { state, unready, warnings } = snapshot;
  const told = [
    ...(unready ? [bad(`packets are refused: ${unready}`)] : []),
    ...(isBalanced(state) ? [] : [bad("the books do not balance: this is a fault of the program")]),
    ...warnings.map(({ severity, text }) => severity === "critical" ? bad(text) : warn(text)),
    ...describeFlow(snapshot, flows),
    ...describeFailing(state, failures),
  ];
  return told.length > 0 ? told : describeCalm(snapshot, shares);
}

function describeFlow({ state, point, unready }, flows) {
  const { queued, in_flight, analyzers } = state;
  const told = [];
  const open = queued.packets + in_flight.packets;
  if (!flows && open > 0 && analyzers.some(({ eligible }) => eligible)) {
    told.push(warn(`nothing is delivered; packets in flight: ${whole(in_flight.packets)}`));
  }
  const { refused } = point;
  if (refused > 0 && !unready) {
    told.push(warn(`${whole(refused)} ${refused === 1 ? "packet" : "packets"}/s refused`));
  }
  return told;
}

function describeFailing({ analyzers }, failures) {
  const failing = analyzers.filter(({ id, status }) =>
    status.kind !== "ejected" && failures.recent(id) > 0
  );
  const more = failing.length - MAX_NAMED;
  return [
    ...failing.slice(0, MAX_NAMED).map(({ id }) => warn(`requests to ${id} fail`)),
    ...(more > 0 ? [warn(`requests to ${more} more fail`)] : []),
  ];
}

const bad = (text) => ({ tone: "bad", text });
const warn = (text) => ({ tone: "warn", text });

function describeCalm({ state: { analyzers, queued, in_flight }, point }, shares) {
  const notes = analyzers.filter(({ status }) => NOTES[status.kind])
    .map(({ id, status }) => note(`${NOTES[status.kind]}: ${id}, ${status.reason}`));
  if (
    queued.oldest_age_seconds >= WAITING_SECONDS ||
    queued.packets > WAITING_PART * queued.capacity
  ) {
    notes.push(
      note(
        `packets wait: ${whole(queued.packets)}, the oldest for ${age(queued.oldest_age_seconds)}`,
      ),
    );
  }
  const taking = analyzers.filter(({ eligible }) => eligible);
  const one = taking.length === 1;
  const who = nameAll(taking.length, analyzers.length);
  const isIdle = point.accepted + point.delivered + queued.packets + in_flight.packets === 0;
  const tone = notes.length > 0 ? "note" : "good";
  if (isIdle) {
    return [...notes, { tone, text: `no packets come in; ${who} ${one ? "is" : "are"} ready` }];
  }
  if (!taking.every((analyzer) => isNear(analyzer, { point, shares }))) {
    return [...notes, note("shares are on their way to their targets")];
  }
  const get = one ? "gets its share" : "get their shares";
  const text = notes.length > 0 ? `${who} ${get}` : `${who} ${get}, and nothing waits`;
  return [...notes, { tone, text }];
}

const note = (text) => ({ tone: "note", text });

/** What an operator has done, or an analyzer is about to get over. */
const NOTES = {
  paused: "paused",
  probation: "on trial",
  slow_start: "coming back",
  resting: "resting",
  full: "full",
};

function nameAll(taking, all) {
  if (taking < all) return taking === 1 ? "the other one" : `the other ${taking}`;
  return taking === 1 ? "the analyzer" : `all ${taking} analyzers`;
}

/** Whether an analyzer's share is where it should be, as far as so few packets can tell. */
export function isNear(analyzer, { point, shares }) {
  const shown = shownShare(analyzer, shares);
  if (shown === undefined) return true;
  const { target } = analyzer.share;
  const part = Math.min(NEAR_PART, Math.max(NEAR_TARGET_PART * target, shown * NEAR_TARGET_PART));
  const near = Math.max(part, NEAR_PACKETS / Math.max(1, point.packets * SHARE_SECONDS));
  return Math.abs(shown - target) <= near;
}

const SYMBOLS = { bad: "✕", warn: "▲", note: "◐", good: "✓" };

/** The line itself, and the list that it opens to. */
export class Verdict {
  #title = document.title;
  #said = "";

  show(findings) {
    const [{ tone, text }] = findings;
    setData(byId("verdict"), "tone", tone);
    setText(byId("verdict-symbol"), SYMBOLS[tone]);
    setText(byId("verdict-text"), sentence(text));
    const more = findings.length - 1;
    setText(byId("verdict-more"), more > 0 ? `and ${more} more` : "");
    this.#list(findings);
    this.#say(tone, text);
  }

  lose(lastSeconds) {
    const since = lastSeconds === undefined ? "" : `; what you see is of ${clockTime(lastSeconds)}`;
    this.show([{ tone: "bad", text: `no connection to the distributor${since}` }]);
  }

  #list(findings) {
    const list = byId("verdict-list");
    while (list.children.length > findings.length) list.lastElementChild.remove();
    findings.forEach(({ text }, i) => {
      if (!list.children[i]) list.append(el("li"));
      setText(list.children[i], sentence(text));
    });
  }

  /** Aloud, and in the tab's title, only when it is another matter: numbers alone are none. */
  #say(tone, text) {
    const matter = `${tone} ${text.replace(/[\d,.:]+/g, "#")}`;
    if (matter === this.#said) return;
    this.#said = matter;
    setText(byId("verdict-said"), sentence(text));
    const isCalm = tone === "good" || tone === "note";
    document.title = isCalm ? this.#title : `${SYMBOLS[tone]} ${sentence(text)} · ${this.#title}`;
  }
}

function sentence(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
