/** An ingest thread that dies, as of a bug, at its hundredth word from the main thread. */

import "../../src/threads/ingest_thread.ts";

let words = 0;
addEventListener("message", () => {
  if (++words === 100) throw new Error("as the test wants it");
});
