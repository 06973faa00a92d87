/** Numbers and names as people read them. */

/** Orders analyzers: the tenth after the ninth. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;

/** `1,234`. */
export function whole(value) {
  return Math.round(value).toLocaleString("en-US");
}

/** A name in the middle of which something is left out: ids differ at their ends. */
export function shorten(name) {
  const characters = [...name];
  if (characters.length <= 14) return name;
  return `${characters.slice(0, 6).join("")}…${characters.slice(-7).join("")}`;
}

/** `12.3k`: three digits at most. */
export function short(value) {
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  let rest = Math.abs(value);
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  const digits = unit === 0 ? (Number.isInteger(rest) || rest >= 10 ? 0 : 1) : rest < 10 ? 1 : 0;
  return `${value < 0 ? "-" : ""}${rest.toFixed(digits)}${units[unit]}`;
}

/** `3.2 ms`, `1.4 s`; a dash for nothing. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms === 0) return "0 ms";
  if (ms >= 9950) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** `1.9 / 86 ms`: the unit once, where both have the same. */
export function durations(first, second) {
  const [a, b] = [duration(first), duration(second)];
  const [, unit] = b.split(" ");
  return `${unit && a.endsWith(` ${unit}`) ? a.slice(0, -unit.length - 1) : a} / ${b}`;
}

/** `45 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function age(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const pad = (number) => String(number).padStart(2, "0");

/** `19:10:15`, local time, of seconds since the Unix epoch. */
export function clockTime(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
}

/** `12.3 MiB`. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${unit === 0 || rest >= 100 ? rest.toFixed(0) : rest.toFixed(1)} ${units[unit]}`;
}

/** `39.9 %`; a dash for what is not known. */
export function percent(part) {
  if (part === undefined) return "–";
  return `${(part * 100).toFixed(1)} %`;
}
