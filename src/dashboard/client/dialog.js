/** Questions to the operator, each in a dialog of its own: one may open above another. */

import { el } from "./dom.js";

let opened = 0;

/** Shows a dialog with a heading; it leaves the page when it is closed. */
export function openDialog(title, ...children) {
  const heading = el("h2", { id: `dialog-title-${++opened}` }, title);
  const dialog = el("dialog", { "aria-labelledby": heading.id }, heading, ...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks; true when it was submitted and `check` threw nothing.
 *
 * @param fields `{name, label, …attributes of the input}[]`; a fault that begins with a name is shown
 *   as that field's
 */
export function ask({ title, text, submit, danger = false, fields = [], check = () => {} }) {
  const fault = el("p", { class: "fault", id: `fault-${opened}`, role: "alert" });
  const inputs = fields.map(({ name, label, ...attributes }) => ({
    name,
    input: el("input", { id: `field-${name}`, name, required: true, ...attributes }),
    label: el("label", { for: `field-${name}` }, label),
  }));
  const go = el("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const cancel = el("button", { type: "button" }, "Cancel");
  const form = el(
    "form",
    { novalidate: true },
    el("p", {}, text),
    ...inputs.map(({ label, input }) => el("div", { class: "field" }, label, input)),
    fault,
    el("div", { class: "buttons" }, cancel, go),
  );
  const dialog = openDialog(title, form);
  cancel.addEventListener("click", () => dialog.close());
  return new Promise((resolve) => {
    let submitted = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        await check(Object.fromEntries(inputs.map(({ name, input }) => [name, input.value])));
        submitted = true;
        dialog.close();
      } catch (error) {
        blame(inputs, { fault, message: error.message });
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => resolve(submitted));
  });
}

/** Says what is wrong, and goes to where it is. */
function blame(inputs, { fault, message }) {
  fault.textContent = message;
  for (const { name, input } of inputs) {
    const isIt = message.startsWith(`${name} `);
    input.setAttribute("aria-invalid", String(isIt));
    if (isIt) {
      input.setAttribute("aria-describedby", fault.id);
      input.focus();
    }
  }
}
