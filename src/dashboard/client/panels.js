/** Tiles, books and stores: the numbers around the charts and the table. */

import { byId, el, setData, setPart, setText } from "./dom.js";
import { age, bytes, duration, percent, short, whole } from "./format.js";
import { isBalanced } from "./status.js";

/** A label, a large number and a line below. */
class Tile {
  #value = el("b", { class: "value" }, "–");
  #note = el("span", { class: "faint" }, " ");
  #box;

  constructor(label) {
    this.#box = el(
      "div",
      { class: "tile" },
      el("span", { class: "label" }, label),
      this.#value,
      this.#note,
    );
    byId("tiles").append(this.#box);
  }

  show(value, note, tone = "calm") {
    setText(this.#value, value);
    setText(this.#note, note);
    setData(this.#box, "tone", tone);
  }
}

export class Tiles {
  #accepted = new Tile("Accepted");
  #delivered = new Tile("Delivered");
  #latency = new Tile("Latency, p99");
  #queue = new Tile("Queue");
  #dead = new Tile("Dead letters");
  #refused = new Tile("Refused");

  show({ point, state, latency_ms, unready }) {
    const { queued, rejected, dead_letters, in_flight } = state;
    this.#accepted.show(
      `${short(point.accepted)}/s`,
      `messages, in ${short(point.packets)} packets`,
    );
    this.#delivered.show(
      `${short(point.delivered)}/s`,
      `messages; ${whole(in_flight.packets)} in flight`,
    );
    this.#latency.show(
      duration(point.p99),
      `median ${duration(point.p50)}; 202 in ${duration(latency_ms.accept_p99)}`,
    );
    const fullness = queued.in_memory.packets / queued.capacity;
    const onDisk = queued.packets - queued.in_memory.packets;
    this.#queue.show(
      whole(queued.packets),
      queued.packets === 0
        ? `nothing waits; room for ${short(queued.capacity)}`
        : `${onDisk > 0 ? `${short(onDisk)} on disk` : `of ${short(queued.capacity)}`}; oldest ${
          duration(queued.oldest_age_seconds * 1000)
        }`,
      fullness >= 0.8 ? "bad" : fullness >= 0.3 ? "warn" : "calm",
    );
    this.#dead.show(
      whole(dead_letters),
      dead_letters === 0 ? "none waits for you" : "packets wait for you",
      dead_letters > 0 ? "warn" : "calm",
    );
    this.#refused.show(
      `${short(point.refused)}/s`,
      `${whole(rejected.packets)} packets in all`,
      point.refused === 0 ? "calm" : unready ? "bad" : "warn",
    );
  }
}

const PLACES = [
  ["delivered", "delivered", "--series-3"],
  ["dead_lettered", "dead-lettered", "--series-6"],
  ["queued", "queued", "--series-2"],
  ["in_flight", "in flight", "--series-1"],
];

/** accepted = delivered + dead-lettered + queued + in flight, as a sum that is checked here. */
export class Books {
  #numbers = new Map();
  #strip = new Map();

  constructor() {
    const term = (key, label, color) => {
      const packets = el("b");
      const messages = el("span", { class: "faint" });
      this.#numbers.set(key, { packets, messages });
      const swatch = el("i", { class: "swatch" });
      swatch.style.setProperty("--color", color ? `var(${color})` : "transparent");
      return el(
        "div",
        { class: "term" },
        el("span", { class: "label" }, ...(color ? [swatch] : []), label),
        packets,
        messages,
      );
    };
    const sign = (text) => el("span", { class: "sign" }, text);
    const sum = [term("accepted", "accepted"), sign("=")];
    PLACES.forEach(([key, label, color], i) => {
      if (i > 0) sum.push(sign("+"));
      sum.push(term(key, label, color));
    });
    const strip = el(
      "div",
      { class: "strip", "aria-hidden": "true" },
      ...PLACES.map(([key, , color]) => {
        const part = el("i");
        part.style.setProperty("--color", `var(${color})`);
        this.#strip.set(key, part);
        return part;
      }),
    );
    byId("books").append(el("div", { class: "sum" }, ...sum), strip);
  }

  show(state) {
    for (const [key, { packets, messages }] of this.#numbers) {
      setText(packets, whole(state[key].packets));
      setText(
        messages,
        `${short(state[key].messages)} ${state[key].messages === 1 ? "message" : "messages"}`,
      );
    }
    for (const [key, part] of this.#strip) {
      part.style.setProperty("flex-grow", String(state[key].packets));
      part.hidden = state[key].packets === 0;
    }
    const balanced = isBalanced(state);
    const pill = byId("balance");
    setText(pill, balanced ? "✓ Balances exactly" : "✕ Does not balance");
    setData(pill, "state", balanced ? "live" : "lost");
  }
}

/** A bounded store: what it holds, against what it may. */
class Gauge {
  element;
  #text = el("b");
  #bar = el("div", { class: "bar", role: "img" }, el("div", { class: "fill" }));
  #label;

  constructor(label) {
    this.#label = label;
    this.element = el(
      "div",
      { class: "gauge" },
      el("div", { class: "line" }, el("span", { class: "label" }, label), this.#text),
      this.#bar,
    );
  }

  show(used, most, format) {
    const part = most > 0 ? used / most : 0;
    setText(this.#text, most > 0 ? `${format(used)} of ${format(most)}` : format(used));
    setPart(this.#bar, "--actual", part);
    setData(this.#bar, "tone", part >= 0.8 ? "bad" : part >= 0.5 ? "warn" : "calm");
    this.#bar.setAttribute("aria-label", `${this.#label}: ${percent(part)} full`);
  }
}

export class Stores {
  #packets = new Gauge("Queue, packets");
  #bytes = new Gauge("Memory for packets");
  #spool = new Gauge("Spool on disk");
  #dead = new Gauge("Dead letters");
  #facts = new Map();

  constructor() {
    const facts = [
      "Dead letters",
      "Retries",
      "Memory",
      "Event loop late by",
      "Waiting for an analyzer, p99",
      "Refusals",
    ];
    const list = el(
      "dl",
      { class: "facts" },
      ...facts.map((name) => {
        const value = el("dd");
        this.#facts.set(name, value);
        return el("div", {}, el("dt", {}, name), value);
      }),
    );
    this.#spool.element.hidden = true;
    byId("stores").append(
      el(
        "div",
        { class: "gauges" },
        this.#packets.element,
        this.#bytes.element,
        this.#spool.element,
        this.#dead.element,
      ),
      list,
    );
  }

  show({ state, latency_ms, memory_bytes }) {
    const { queued, spool, rejected, dead_letters } = state;
    this.#packets.show(queued.in_memory.packets, queued.capacity, short);
    this.#bytes.show(queued.held_bytes, queued.capacity_bytes, bytes);
    this.#spool.element.hidden = !spool;
    if (spool) this.#spool.show(spool.used_bytes, spool.arrivals_max_bytes, bytes);
    this.#dead.show(state.dead_letter_bytes, state.dead_letter_max_bytes, bytes);
    const codes = Object.entries(rejected.by_code).map(([code, count]) =>
      `${code} ${short(count)}`
    );
    const facts = {
      "Dead letters": `${whole(dead_letters)} kept, ${whole(state.dead_lettered.packets)} in all`,
      "Retries": whole(state.retries),
      "Memory": bytes(memory_bytes),
      "Event loop late by": duration(latency_ms.loop_lag_max),
      "Waiting for an analyzer, p99": duration(latency_ms.queue_wait_p99),
      "Refusals": codes.length === 0 ? "none" : codes.join(", "),
    };
    for (const [name, text] of Object.entries(facts)) setText(this.#facts.get(name), text);
    byId("replay").setAttribute("aria-disabled", String(dead_letters === 0));
  }
}

export function showHead({ state, boot }) {
  setText(
    byId("build"),
    `${state.version}, kept ${state.durability === "disk" ? "on disk" : "in memory"}`,
  );
  byId("build").title = boot;
  setText(byId("uptime"), `up ${age(state.uptime_seconds)}`);
}
