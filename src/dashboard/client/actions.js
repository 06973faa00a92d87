/** What an operator can do from the page; every order ends in words, good or bad. */

import { ask } from "./dialog.js";
import { byId, el } from "./dom.js";

const TOKEN_KEY = "distributor-token";
const TOAST_MS = 6000;
const MAX_TOASTS = 4;

/** The header that says who asks, once a token has been needed. */
export function authorization() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** Says how something ended, for a few seconds. */
export function toast(text, kind = "done") {
  const region = byId("toasts");
  const box = el("div", { class: "toast", "data-kind": kind }, text);
  region.append(box);
  while (region.children.length > MAX_TOASTS) region.firstElementChild.remove();
  setTimeout(() => box.remove(), kind === "done" ? TOAST_MS : 2 * TOAST_MS);
}

/** Calls the API; the answer's JSON, or an Error whose message is for people. */
export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...authorization(), "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Error("The distributor does not answer");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && await askForToken()) return await call(method, path, body);
  throw new Error(answer.detail ?? `The distributor answered ${response.status}`);
}

/** Does something and says how it ended. */
export async function perform(order, done) {
  try {
    toast(done(await order()));
    return true;
  } catch (error) {
    toast(error.message, "failed");
    return false;
  }
}

const pathOf = (id) => `/api/v1/analyzers/${encodeURIComponent(id)}`;

export function changeWeight(id, weight) {
  return perform(() => call("PATCH", pathOf(id), { weight }), () => `${id} now weighs ${weight}`);
}

export function setPaused(id, paused) {
  return perform(
    () => call("PATCH", pathOf(id), { paused }),
    () => paused ? `${id} is paused: its share goes to the others` : `${id} takes part again`,
  );
}

export async function removeAnalyzer(id) {
  return await ask({
    title: `Remove ${id}?`,
    text: "What waits for it goes to the others. It can be registered again at any time.",
    submit: "Remove",
    danger: true,
  }) && await perform(() => call("DELETE", pathOf(id)), () => `${id} is removed`);
}

export function registerAnalyzer() {
  return ask({
    title: "Register an analyzer",
    text: "It takes part from the next draw on.",
    submit: "Register",
    fields: [
      { name: "id", label: "Id", placeholder: "analyzer5", autocomplete: "off" },
      { name: "url", label: "URL", type: "url", placeholder: "http://localhost:8085" },
      { name: "weight", label: "Weight", type: "number", value: "0.1", step: "any" },
    ],
    check: async ({ id, url, weight }) => {
      const { status } = await call("POST", "/api/v1/analyzers", {
        id,
        url,
        weight: Number(weight),
      });
      toast(`${id} is ${status === "created" ? "registered" : "updated"}`);
    },
  });
}

async function askForToken() {
  const fields = [{ name: "token", label: "Admin token", type: "password", autocomplete: "off" }];
  return await ask({
    title: "This needs the admin token",
    text: "It is kept until this tab is closed.",
    submit: "Use it",
    fields,
    check: ({ token }) => sessionStorage.setItem(TOKEN_KEY, token),
  });
}
