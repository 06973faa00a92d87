/** Whether all is well, and if not, what is the matter: the line above everything else. */

import { byId, el, setData, setText } from "./dom.js";
import { clockTime, whole } from "./format.js";

/** A share that is further from its target than this has not arrived there. */
const NEAR_PART = 0.05;
/** Or so many packets, where few come in: a packet goes whole to one analyzer. */
const NEAR_PACKETS = 3;
const SHARE_SECONDS = 5;
/** Packets of this age have not just come. */
const WAITING_SECONDS = 1;

/**
 * What there is to say of a snapshot, the worst first; pure.
 *
 * @param shares of the last seconds by id, where they are known
 * @returns {{tone: "bad" | "warn" | "note" | "good", text: string}[]}
 */
export function judge({ state, point, unready, warnings }, shares) {
  const told = warnings.map(({ severity, text }) => ({
    tone: severity === "critical" ? "bad" : "warn",
    text,
  }));
  if (unready) told.unshift({ tone: "bad", text: `packets are refused: ${unready}` });
  else if (point.refused > 0) {
    told.push({ tone: "warn", text: `${whole(point.refused)} packets/s are refused` });
  }
  if (told.length > 0) return told;
  return describeCalm({ state, point, shares });
}

function describeCalm({ state: { analyzers, queued }, point, shares }) {
  const told = analyzers.filter(({ paused }) => paused)
    .map(({ id }) => ({ tone: "note", text: `${id} is paused` }));
  const taking = analyzers.filter(({ eligible }) => eligible);
  for (const { id, state, weight_factor: factor, paused } of analyzers) {
    if (!paused && (state !== "healthy" || factor < 1)) {
      told.push({ tone: "note", text: `${id} is coming back, with a growing part of its share` });
    }
  }
  const all = taking.length === analyzers.length;
  const who = all && taking.length > 1 ? `all ${taking.length} analyzers` : count(taking.length);
  if (point.accepted + point.delivered === 0 && queued.packets === 0) {
    const ready = taking.length === 1 ? "is" : "are";
    told.push({
      tone: told.length > 0 ? "note" : "good",
      text: `no packets come in; ${who} ${ready} ready`,
    });
  } else if (isNear(taking, { point, shares })) {
    const have = taking.length === 1 ? "gets its share" : "get their share";
    const waits = queued.oldest_age_seconds < WAITING_SECONDS
      ? "nothing waits"
      : "few packets wait";
    told.push({ tone: told.length > 0 ? "note" : "good", text: `${who} ${have}, and ${waits}` });
  } else told.push({ tone: "note", text: "shares are on their way to their targets" });
  return told;
}

function count(analyzers) {
  return `${analyzers} ${analyzers === 1 ? "analyzer" : "analyzers"}`;
}

function isNear(analyzers, { point, shares }) {
  const near = Math.max(NEAR_PART, NEAR_PACKETS / Math.max(1, point.packets * SHARE_SECONDS));
  return analyzers.every(({ id, share }) => {
    const actual = shares ? shares.get(id) ?? 0 : share.actual;
    return Math.abs(actual - share.target) <= near;
  });
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
