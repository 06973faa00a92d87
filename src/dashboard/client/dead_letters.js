/** A look at the dead letters: why each was given up, to be queued again or deleted. */

import { call, perform } from "./actions.js";
import { ask, openDialog } from "./dialog.js";
import { el, setText } from "./dom.js";
import { age, whole } from "./format.js";

const PATH = "/api/v1/dead-letters";
const SHOWN = 50;
const REASONS = {
  rejected: "refused as a bad packet",
  retries_exhausted: "failed too often",
};

const packets = (count) => `${whole(count)} ${count === 1 ? "packet" : "packets"}`;

function replay(selection) {
  return perform(
    () => call("POST", `${PATH}/replay`, selection),
    ({ replayed }) => `${packets(replayed)} ${replayed === 1 ? "is" : "are"} queued again`,
  );
}

function erase(selection) {
  return perform(
    () => call("DELETE", PATH, selection),
    ({ deleted }) => `${packets(deleted)} ${deleted === 1 ? "is" : "are"} deleted`,
  );
}

export async function replayAll(count) {
  const sure = await ask({
    title: "Replay dead letters?",
    text: `${packets(count)} ${count === 1 ? "is" : "are"} queued again, as if just received.`,
    submit: "Replay",
  });
  return sure && await replay({ all: true });
}

async function eraseAll(count) {
  const sure = await ask({
    title: "Delete dead letters?",
    text: `${packets(count)} will be gone for good, and what is given up meanwhile.`,
    submit: "Delete",
    danger: true,
  });
  return sure && await erase({ all: true });
}

/** Ids are the agents' own: there may be several under one. */
async function eraseOne(id) {
  const sure = await ask({
    title: `Delete ${id}?`,
    text: "All dead letters of this id will be gone for good.",
    submit: "Delete",
    danger: true,
  });
  return sure && await erase({ ids: [id] });
}

/** Opens the list of the oldest. */
export async function showDeadLetters() {
  const note = el("p", { role: "status" }, "…");
  const list = el("ul", { class: "letters" });
  const button = (text, name, onclick) =>
    el("button", { type: "button", class: name, onclick }, text);
  let total = 0;
  const order = async (done) => {
    await load();
    if (await done()) await load();
  };
  const dialog = openDialog(
    "Dead letters",
    note,
    list,
    el(
      "div",
      { class: "buttons" },
      button("Delete all", "quiet", () => order(() => total > 0 && eraseAll(total))),
      button("Replay all", "", () => order(() => total > 0 && replayAll(total))),
      button("Close", "primary", () => dialog.close()),
    ),
  );
  dialog.classList.add("wide");
  await load();

  async function load() {
    try {
      const answer = await call("GET", `${PATH}?limit=${SHOWN}`);
      total = answer.total;
      setText(note, describe(answer));
      list.replaceChildren(...answer.dead_letters.map((letter) => row(letter, order)));
    } catch (error) {
      setText(note, error.message);
    }
  }
}

function describe({ total, dead_letters: shown }) {
  if (total === 0) return "There are none.";
  const count = `${packets(total)} ${total === 1 ? "was" : "were"} given up`;
  return shown.length < total ? `${count}; the oldest ${shown.length}:` : `${count}:`;
}

function row({ packet_id: id, reason, analyzer, detail, attempts, since, messages }, order) {
  const seconds = Math.max(0, (Date.now() - Date.parse(since)) / 1000);
  const tries = `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
  const button = (text, name, done) =>
    el("button", {
      type: "button",
      class: name,
      "aria-label": `${text} ${id}`,
      onclick: () => order(done),
    }, text);
  return el(
    "li",
    {},
    el(
      "div",
      {},
      el("b", { class: "id" }, id),
      el(
        "span",
        { class: "faint" },
        `${REASONS[reason] ?? reason} after ${tries}, ${age(seconds)} ago; ` +
          `${whole(messages)} ${messages === 1 ? "message" : "messages"}`,
      ),
      el("span", { class: "faint" }, `${analyzer}: ${detail}`),
    ),
    button("Replay", "small", () => replay({ ids: [id] })),
    button("Delete", "small quiet", () => eraseOne(id)),
  );
}
