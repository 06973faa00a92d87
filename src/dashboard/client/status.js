/** What an analyzer's status is called, here and in `distributor top`. Pure. */

/** Each differs from the others by its sign, not by its colour alone. */
const STATUS = {
  healthy: { word: "Healthy", symbol: "●" },
  slow_start: { word: "Slow start", symbol: "◔" },
  probation: { word: "On trial", symbol: "◐" },
  resting: { word: "Resting", symbol: "◌" },
  full: { word: "Full", symbol: "◆" },
  paused: { word: "Paused", symbol: "‖" },
  ejected: { word: "Out", symbol: "✕" },
};

/** @returns {{word: string, symbol: string}} */
export function nameStatus({ kind }) {
  return STATUS[kind] ?? { word: kind, symbol: "?" };
}

const PLACES = ["delivered", "dead_lettered", "queued", "in_flight"];

/** Whether accepted = delivered + dead-lettered + queued + in flight, in packets and messages. */
export function isBalanced(state) {
  return ["packets", "messages"].every((unit) =>
    PLACES.reduce((sum, place) => sum + state[place][unit], 0) === state.accepted[unit]
  );
}
