/** The page: the stream of events in, charts, table and panels out. */

import { registerAnalyzer } from "./actions.js";
import { Charts } from "./charts.js";
import { assignColors } from "./colors.js";
import { replayAll, showDeadLetters } from "./dead_letters.js";
import { byId, setData, setText } from "./dom.js";
import { Failures } from "./failures.js";
import { byName } from "./format.js";
import { Books, showHead, Stores, Tiles } from "./panels.js";
import { Series } from "./series.js";
import { watch } from "./stream.js";
import { Table } from "./table.js";
import { isNear, judge, Verdict } from "./verdict.js";

const series = new Series();
const charts = new Charts(series);
const tiles = new Tiles();
const table = new Table();
const books = new Books();
const stores = new Stores();
const verdict = new Verdict();
const failures = new Failures();
let latest;

function show(snapshot) {
  latest = snapshot;
  const { state, point } = snapshot;
  const analyzers = state.analyzers.toSorted((a, b) => byName(a.id, b.id));
  series.chart(analyzers);
  series.add(snapshot);
  failures.note(snapshot);
  showHead(snapshot);
  tiles.show(snapshot);
  assignColors(series.charted);
  const shares = series.shares();
  verdict.show(judge(snapshot, { shares, flows: series.flows, failures }));
  table.show(analyzers, {
    shares,
    failures,
    rates: point.by,
    isNear: (analyzer) => isNear(analyzer, { point, shares }),
  });
  charts.show(series.charted, analyzers.length);
  books.show(state);
  stores.show(snapshot);
  reveal();
}

/** Only now: what came in bit by bit would push about what is there. */
function reveal() {
  document.body.classList.remove("waiting");
}

const WORDS = { live: "Live", lost: "Reconnecting…" };

byId("register").addEventListener("click", registerAnalyzer);
byId("look").addEventListener("click", showDeadLetters);
byId("replay").addEventListener("click", () => {
  // Not disabled: a button that ceases to be one takes the keyboard's place with it.
  const count = latest?.state.dead_letters ?? 0;
  if (count > 0) void replayAll(count);
});
watch({
  onEvent(name, data) {
    if (name === "history") series.restart(data);
    else if (name === "snapshot") show(data);
  },
  onState(state) {
    setData(byId("connection"), "state", state);
    setText(byId("connection"), WORDS[state]);
    document.body.classList.toggle("stale", state === "lost");
    if (state === "lost") {
      reveal();
      verdict.lose(latest?.point.t);
    }
  },
});
