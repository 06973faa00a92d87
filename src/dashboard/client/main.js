/** The page: the stream of events in, charts, table and panels out. */

import { registerAnalyzer, replayDeadLetters } from "./actions.js";
import { Charts } from "./charts.js";
import { assignColors } from "./colors.js";
import { byId, setData, setText } from "./dom.js";
import { Books, showHead, Stores, Tiles } from "./panels.js";
import { Series } from "./series.js";
import { watch } from "./stream.js";
import { Table } from "./table.js";

const series = new Series();
const charts = new Charts(series);
const tiles = new Tiles();
const table = new Table();
const books = new Books();
const stores = new Stores();
let latest;

function show(snapshot) {
  latest = snapshot;
  const { state, point } = snapshot;
  series.add(point);
  showHead(snapshot);
  tiles.show(snapshot);
  const analyzers = state.analyzers.toSorted((a, b) => a.id < b.id ? -1 : 1);
  assignColors(analyzers.map(({ id }) => id));
  table.show(analyzers, { shares: series.shares(), rates: point.by });
  charts.show(analyzers.map(({ id }) => id));
  books.show(state);
  stores.show(snapshot);
}

const WORDS = { live: "Live", lost: "Reconnecting…" };

byId("register").addEventListener("click", registerAnalyzer);
byId("replay").addEventListener("click", () => replayDeadLetters(latest?.state.dead_letters ?? 0));
watch({
  onEvent(name, data) {
    if (name === "history") series.addAll(data.points);
    else if (name === "snapshot") show(data);
  },
  onState(state) {
    setData(byId("connection"), "state", state);
    setText(byId("connection"), WORDS[state]);
    document.body.classList.toggle("stale", state === "lost");
  },
});
