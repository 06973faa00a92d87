/** The analyzers: one row each, which stays the same element for as long as it is registered. */

import { changeWeight, removeAnalyzer, setPaused } from "./actions.js";
import { colorOf } from "./colors.js";
import { byId, el, setData, setPart, setText } from "./dom.js";
import { age, durations, percent, short, whole } from "./format.js";
import { SHARE_SECONDS, shownShare } from "./series.js";
import { nameStatus } from "./status.js";

/** Where the bars end. */
const SCALES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
/** Room for shares to grow while others are out, before the bars need another end. */
const ROOM = 2;
/** With more analyzers than this, one may look for some. */
const FILTER_FROM = 12;

class Row {
  element;
  #id;
  #paused = false;
  #parts = {};
  #sent;

  constructor(id) {
    this.#id = id;
    this.#makeLabels();
    this.#makeOrders();
    this.element = this.#assemble();
  }

  #makeLabels() {
    const p = this.#parts;
    p.swatch = el("i", { class: "swatch" });
    p.name = el("b", { class: "id", title: this.#id }, this.#id);
    p.url = el("span", { class: "faint url" });
    p.badge = el(
      "span",
      { class: "badge" },
      p.symbol = el("span", { class: "symbol", "aria-hidden": "true" }),
      p.word = el("span"),
    );
    p.why = el("span", { class: "faint why" });
    p.since = el("span", { class: "faint since" });
    p.bar = el(
      "div",
      { class: "bar", role: "img" },
      el("div", { class: "fill" }),
      el("div", { class: "mark" }),
    );
    p.actual = el("b");
    p.target = el("span", { class: "faint" });
    const number = (label) => el("td", { role: "cell", class: "number", "data-label": label });
    p.rate = number("Messages/s");
    p.inFlight = number("In flight");
    p.failures = number("Failures");
    p.latency = number("Latency p50 / p99");
  }

  #makeOrders() {
    const p = this.#parts;
    const id = this.#id;
    p.weight = el("input", {
      type: "number",
      step: "any",
      min: "0",
      class: "weight",
      "aria-label": `Weight of ${id}`,
      oninput: () => this.#markDirty(),
      onkeydown: (event) => event.key === "Escape" && this.#resetWeight(),
    });
    p.set = el("button", { type: "submit", class: "small set", disabled: true }, "Set");
    p.form = el(
      "form",
      {
        class: "weigh",
        novalidate: true,
        onsubmit: (event) => this.#submit(event),
      },
      p.weight,
      p.set,
    );
    p.pause = el("button", {
      type: "button",
      class: "small",
      onclick: () => setPaused(id, !this.#paused),
    });
    p.remove = el("button", {
      type: "button",
      class: "small quiet",
      "aria-label": `Remove ${id}`,
      onclick: () => this.#remove(),
    }, "Remove");
  }

  #assemble() {
    const p = this.#parts;
    return el(
      "tr",
      { role: "row" },
      el(
        "th",
        { role: "rowheader", scope: "row", class: "who" },
        el("div", { class: "identity" }, p.swatch, el("div", {}, p.name, p.url)),
      ),
      el(
        "td",
        { role: "cell", class: "state" },
        el("div", { class: "line" }, p.badge, p.since),
        p.why,
      ),
      el(
        "td",
        { role: "cell", class: "share" },
        el("div", { class: "line" }, p.actual, p.target),
        p.bar,
      ),
      el("td", { role: "cell", class: "number weighing", "data-label": "Weight" }, p.form),
      p.rate,
      p.inFlight,
      p.failures,
      p.latency,
      el("td", { role: "cell", class: "actions" }, p.pause, p.remove),
    );
  }

  get word() {
    return this.#parts.word.textContent;
  }

  /** Whoever works by keyboard goes on from the next row, not from the top of the page. */
  async #remove() {
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    if (!await removeAnalyzer(this.#id)) return;
    (next?.querySelector(".quiet") ?? byId("analyzers")).focus();
  }

  update(analyzer, { share, scale, rate, failed, isOff }) {
    const p = this.#parts;
    this.#paused = analyzer.paused;
    this.element.style.setProperty("--color", `var(${colorOf(analyzer.id)})`);
    setText(p.url, analyzer.url);
    const { kind, reason, seconds } = analyzer.status;
    const { word, symbol } = nameStatus(analyzer.status);
    setData(p.badge, "state", kind);
    setText(p.symbol, symbol);
    setText(p.word, word);
    // That it was registered is no news of one that is well.
    setText(p.why, reason === "registered" ? "" : reason);
    p.why.title = reason;
    setText(p.since, age(seconds));
    this.#updateShare(share, { target: analyzer.share.target, scale, isOff });
    this.#sent = analyzer.weight;
    if (document.activeElement !== p.weight && p.set.disabled) p.weight.value = analyzer.weight;
    setText(p.rate, rate === undefined ? "–" : whole(rate));
    setText(p.inFlight, whole(analyzer.in_flight));
    const failures = Object.values(analyzer.failures).reduce((sum, count) => sum + count, 0);
    setText(p.failures, short(failures));
    setData(p.failures, "tone", failed > 0 ? "warn" : "calm");
    p.failures.title = Object.entries(analyzer.failures).map(([name, count]) => `${name} ${count}`)
      .join(", ");
    const { p50, p99 } = analyzer.latency_ms;
    setText(p.latency, p99 > 0 ? durations(p50, p99) : "–");
    setText(p.pause, analyzer.paused ? "Resume" : "Pause");
    p.pause.setAttribute("aria-label", `${analyzer.paused ? "Resume" : "Pause"} ${this.#id}`);
  }

  #updateShare(actual, { target, scale, isOff }) {
    const p = this.#parts;
    setText(p.actual, percent(actual));
    setData(p.actual, "tone", isOff ? "warn" : "calm");
    setText(p.target, `target ${percent(target)}`);
    setPart(p.bar, "--actual", (actual ?? 0) / scale);
    setPart(p.bar, "--target", target / scale);
    setData(p.bar, "off", String(target === 0));
    p.bar.setAttribute(
      "aria-label",
      `${percent(actual)} of the messages, target ${percent(target)}`,
    );
  }

  #markDirty() {
    const { weight, set } = this.#parts;
    set.disabled = weight.value === "" || Number(weight.value) === this.#sent;
  }

  #resetWeight() {
    this.#parts.weight.value = this.#sent;
    this.#parts.set.disabled = true;
  }

  async #submit(event) {
    event.preventDefault();
    const { weight, set } = this.#parts;
    if (set.disabled) return;
    set.disabled = true;
    if (!await changeWeight(this.#id, Number(weight.value))) this.#resetWeight();
  }
}

/** What the distributor's own shares are over. */
function windowOf([first]) {
  return first?.share.window_seconds ?? SHARE_SECONDS;
}

/** By the weights rather than by what happens: a bar that changes its end tells nothing. */
function chooseScale(analyzers, shareOf) {
  const sum = analyzers.reduce((total, { weight }) => total + weight, 0);
  const largest = Math.max(
    ...analyzers.map((one) =>
      Math.max(shareOf(one) ?? 0, one.share.target, ROOM * one.weight / sum)
    ),
    0,
  );
  return SCALES.find((limit) => largest <= limit) ?? 1;
}

export class Table {
  #rows = new Map();

  constructor() {
    byId("filter").addEventListener("input", () => this.#filter());
  }

  /** @param shares of the last seconds by id, where they are known */
  show(analyzers, { shares, failures, rates, isNear }) {
    const present = new Set(analyzers.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    const shareOf = (analyzer) => shownShare(analyzer, shares);
    const scale = chooseScale(analyzers, shareOf);
    setText(byId("scale"), scale === 1 ? "" : `bars end at ${percent(scale)}`);
    setText(byId("share-window"), `last ${shares ? SHARE_SECONDS : windowOf(analyzers)} s`);
    analyzers.forEach((analyzer, index) => {
      let row = this.#rows.get(analyzer.id);
      if (!row) {
        row = new Row(analyzer.id);
        this.#rows.set(analyzer.id, row);
      }
      const place = byId("rows").children[index];
      if (place !== row.element) byId("rows").insertBefore(row.element, place ?? null);
      const rate = Object.hasOwn(rates, analyzer.id) ? rates[analyzer.id] : undefined;
      row.update(analyzer, {
        share: shareOf(analyzer),
        scale,
        rate,
        failed: failures.recent(analyzer.id),
        isOff: !isNear(analyzer),
      });
    });
    byId("filter").hidden = analyzers.length <= FILTER_FROM && byId("filter").value === "";
    this.#filter();
    this.#summarize(analyzers);
  }

  #filter() {
    const wanted = byId("filter").value.trim().toLowerCase();
    for (const [id, row] of this.#rows) {
      row.element.hidden = wanted !== "" && !id.toLowerCase().includes(wanted) &&
        !row.word.toLowerCase().includes(wanted);
    }
  }

  #summarize(analyzers) {
    byId("no-analyzers").hidden = analyzers.length > 0;
    const taking = analyzers.filter(({ eligible }) => eligible).length;
    setText(byId("analyzers-summary"), `${taking} of ${analyzers.length} take part`);
  }
}
