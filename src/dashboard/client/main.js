/** The page: the stream of events in, charts, table and panels out. */

import { registerAnalyzer, replayDeadLetters } from "./actions.js";
import { Charts } from "./charts.js";
import { assignColors } from "./colors.js";
import { byId, setData, setText } from "./dom.js";
import { byName } from "./format.js";
import { Books, showHead, Stores, Tiles } from "./panels.js";
import { Series } from "./series.js";
import { watch } from "./stream.js";
import { Table } from "./table.js";
import { judge, Verdict } from "./verdict.js";

const series = new Series();
const charts = new Charts(series);
const tiles = new Tiles();
const table = new Table();
const books = new Books();
const stores = new Stores();
const verdict = new Verdict();
let latest;

function show(snapshot) {
  latest = snapshot;
  const { state, point } = snapshot;
  series.add(snapshot);
  showHead(snapshot);
  tiles.show(snapshot);
  const analyzers = state.analyzers.toSorted((a, b) => byName(a.id, b.id));
  assignColors(analyzers.map(({ id }) => id));
  const shares = series.shares();
  verdict.show(judge(snapshot, shares));
  table.show(analyzers, { shares, rates: point.by });
  charts.show(analyzers.map(({ id }) => id));
  books.show(state);
  stores.show(snapshot);
}

const WORDS = { live: "Live", lost: "Reconnecting…" };

byId("register").addEventListener("click", registerAnalyzer);
byId("replay").addEventListener("click", () => replayDeadLetters(latest?.state.dead_letters ?? 0));
watch({
  onEvent(name, data) {
    if (name === "history") series.restart(data);
    else if (name === "snapshot") show(data);
  },
  onState(state) {
    setData(byId("connection"), "state", state);
    setText(byId("connection"), WORDS[state]);
    document.body.classList.toggle("stale", state === "lost");
    if (state === "lost") verdict.lose(latest?.point.t);
  },
});
