/** The few ways in which this page touches the document. Text is always set as text. */

/** Makes an element. `on…` are listeners, `class` and the rest attributes; children may be text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Sets text if it differs: what does not change is not touched. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** A length between 0 and 1 for the style sheet. */
export function setPart(element, name, part) {
  element.style.setProperty(name, `${Math.round(Math.min(Math.max(part, 0), 1) * 10000) / 100}%`);
}
