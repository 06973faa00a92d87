/**
 * A colour for each analyzer that is charted, which it keeps for as long as it is.
 *
 * Told apart by any eyes: after the palette of Okabe and Ito, see style.css.
 */

const COLORS = 8;

const slots = new Map();

/** Gives newcomers the first colours that are free; those who have gone leave theirs. */
export function assignColors(ids) {
  const present = new Set(ids);
  for (const id of [...slots.keys()]) if (!present.has(id)) slots.delete(id);
  for (const id of ids) {
    if (slots.has(id)) continue;
    const taken = new Set(slots.values());
    let slot = 0;
    while (taken.has(slot)) slot++;
    slots.set(id, slot);
  }
}

/** A custom property of the style sheet. */
export function colorOf(id) {
  const slot = slots.get(id);
  return slot === undefined ? "--series-none" : `--series-${slot % COLORS + 1}`;
}
