/** The three charts of the last five minutes, drawn by uPlot, which is a global. */

import { colorOf } from "./colors.js";
import { byId, el, setText } from "./dom.js";
import { clockTime, duration, short, shorten } from "./format.js";

/* global uPlot */

const SECONDS = 300;
/** Shown at least, so that the first seconds are not stretched. */
const LEAST_SECONDS = 60;
const HEIGHT = 168;

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** One chart with its legend, whose numbers are those under the cursor, else the newest. */
class Chart {
  #series;
  #format;
  #plotBox = el("div", { class: "plot" });
  #legend = el("ul", { class: "legend" });
  #values = [];
  #plot;
  #lines = [];
  #data = [[]];
  #key = "";
  #width = 0;
  /** The legend only names: the numbers are in the table. */
  #isQuiet;
  #unit;

  constructor({ title, unit, format, series, isQuiet = false }) {
    this.#isQuiet = isQuiet;
    this.#format = format;
    this.#series = series;
    this.#unit = el("span", { class: "unit" }, unit);
    const head = el(
      "div",
      { class: "panel-head" },
      el("h2", {}, title),
      this.#unit,
    );
    byId("charts").append(
      el(
        "figure",
        { class: "panel chart", "aria-label": `${title}, ${unit}, the last five minutes` },
        head,
        this.#legend,
        this.#plotBox,
      ),
    );
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width)).observe(
      this.#plotBox,
    );
  }

  set unit(text) {
    setText(this.#unit, text);
  }

  /** @param lines {name, label, color, read, dash?}[] */
  show(lines) {
    const key = JSON.stringify(lines.map(({ label, color }) => [label, color]));
    this.#lines = lines;
    this.#data = this.#series.columns(lines.map(({ read }) => read));
    if (key !== this.#key) {
      this.#key = key;
      this.#build();
    } else this.#plot?.setData(this.#data);
    if (this.#plot?.cursor.idx == null) this.#tell(this.#data[0].length - 1);
  }

  /** Draws again in the colours of another theme. */
  repaint() {
    this.#build();
  }

  #resize(width) {
    this.#width = Math.floor(width);
    if (this.#plot) this.#plot.setSize({ width: this.#width, height: HEIGHT });
    else if (this.#lines.length > 0) this.#build();
  }

  #build() {
    this.#values = this.#lines.map(() => el("b", {}, "–"));
    this.#legend.replaceChildren(
      ...this.#lines.map((line, i) => {
        const swatch = el("i", { class: line.dash ? "swatch dashed" : "swatch" });
        swatch.style.setProperty("--color", `var(${line.color})`);
        return el(
          "li",
          {},
          swatch,
          el("span", { class: "name", title: line.label }, shorten(line.label)),
          ...(this.#isQuiet ? [] : [this.#values[i]]),
        );
      }),
    );
    if (this.#width === 0) return;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(), this.#data, this.#plotBox);
  }

  #options() {
    const axis = {
      stroke: color("--faint"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: color("--grid"), width: 1 },
      ticks: { show: false },
    };
    return {
      width: this.#width,
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: {
        sync: { key: "time" },
        y: false,
        drag: { x: false, y: false },
        points: { size: 6 },
      },
      scales: {
        x: { range: () => this.#range() },
        y: { range: (_plot, _min, max) => [0, Math.max(max ?? 0, 1) * 1.1] },
      },
      axes: [
        { ...axis, space: 70, size: 26, values: (plot, times) => nameTimes(times, plot.scales.x) },
        { ...axis, size: 46, space: 34, values: (_plot, ticks) => ticks.map(this.#format) },
      ],
      series: [
        {},
        ...this.#lines.map((line) => ({
          label: line.label,
          stroke: color(line.color),
          width: line.width ?? 1.75,
          fill: line.fill ? color(line.fill) : undefined,
          dash: line.dash,
          points: { show: false },
        })),
      ],
      hooks: {
        setCursor: [(plot) => this.#tell(plot.cursor.idx ?? this.#data[0].length - 1)],
      },
    };
  }

  #range() {
    const now = this.#data[0].at(-1) ?? Date.now() / 1000;
    const known = now - (this.#data[0][0] ?? now);
    return [now - Math.min(Math.max(known, LEAST_SECONDS), SECONDS), now];
  }

  #tell(index) {
    this.#values.forEach((value, i) => {
      const number = this.#data[i + 1]?.[index];
      setText(value, number === null || number === undefined ? "–" : this.#format(number));
    });
  }
}

/** The last label would be cut at the edge. */
function nameTimes(times, { min, max }) {
  return times.map((time) =>
    time > max - (max - min) * 0.07 ? "" : clockTime(time).replace(/:00$/, "")
  );
}

export class Charts {
  #throughput;
  #byAnalyzer;
  #latency;

  constructor(series) {
    this.#throughput = new Chart({
      title: "Throughput",
      unit: "messages/s",
      format: short,
      series,
    });
    this.#byAnalyzer = new Chart({
      title: "By analyzer",
      isQuiet: true,
      unit: "messages/s",
      format: short,
      series,
    });
    this.#latency = new Chart({
      title: "Latency",
      unit: "accepted to delivered",
      format: duration,
      series,
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const chart of [this.#throughput, this.#byAnalyzer, this.#latency]) chart.repaint();
    });
  }

  /** @param ids those that are shown each by itself, of so many */
  show(ids, total) {
    const more = total > ids.length ? `, the ${ids.length} with the most weight of ${total}` : "";
    this.#byAnalyzer.unit = `messages/s${more}`;
    this.#throughput.show([
      { label: "accepted", color: "--series-1", fill: "--fill-1", read: (point) => point.accepted },
      { label: "delivered", color: "--series-2", dash: [5, 3], read: (point) => point.delivered },
    ]);
    this.#byAnalyzer.show(
      ids.map((id) => ({
        label: id,
        color: colorOf(id),
        read: (point) => Object.hasOwn(point.by, id) ? point.by[id] : null,
      })),
    );
    this.#latency.show([
      { label: "p50", color: "--series-1", read: (point) => point.p50 },
      { label: "p95", color: "--series-2", dash: [5, 3], read: (point) => point.p95 },
      { label: "p99", color: "--series-4", width: 1.25, read: (point) => point.p99 },
    ]);
  }
}
