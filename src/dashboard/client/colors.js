/**
 * A colour for each analyzer, which it keeps for as long as it is registered.
 *
 * Told apart by any eyes: the palette of Okabe and Ito, in an order of contrast; see style.css.
 */

export const COLORS = 8;

const slots = new Map();

/** Gives newcomers the first colours that are free; those who have gone leave theirs. */
export function assignColors(ids) {
  for (const id of [...slots.keys()]) if (!ids.includes(id)) slots.delete(id);
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
  return `--series-${(slots.get(id) ?? 0) % COLORS + 1}`;
}
