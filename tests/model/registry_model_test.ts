/** The registry under random events: whom it draws, and when it draws nobody. */

import { assert, assertEquals } from "@std/assert";
import type { Analyzer } from "../../src/analyzer.ts";
import { BROKEN, MAX_LOAD, REFUSED, Setup } from "../support/registries.ts";

/** One random event; analyzers that were removed still have packets in flight. */
function disturb(setup: Setup, inFlight: Analyzer[]): void {
  const { registry, random, clock } = setup;
  const pick = (below: number) => Math.floor(random() * below);
  const id = "abcdef"[pick(6)]!;
  const analyzer = registry.get(id);
  const kind = pick(12);
  if (!analyzer || kind === 0) {
    const url = `http://${id}${pick(2)}.test`;
    registry.put({ id, url, weight: 0.1 + random() });
  } else if (kind === 1) registry.update(analyzer, { paused: random() < 0.4 });
  else if (kind === 2 && random() < 0.3) registry.remove(id);
  else if (kind < 5) setup.probe(id, random() < 0.6, { batches: random() < 0.2 });
  else if (kind === 5) clock.advance(random() * 4000);
  else if (kind < 9) {
    const drawn = registry.draw(setup.packet(1 + pick(50)));
    if (drawn) inFlight.push(drawn);
  } else if (inFlight.length > 0) {
    const [settled] = inFlight.splice(pick(inFlight.length), 1);
    if (kind === 9) setup.fail(settled!, random() < 0.5 ? REFUSED : BROKEN);
    else {
      const startedMs = clock.monotonicMs();
      registry.delivered(settled!, { packets: 1, messages: 3, startedMs, latencyMs: 1 });
    }
    registry.release(settled!);
  }
}

Deno.test("registry.draw() gives an eligible analyzer exactly while there is one, whatever happens", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const setup = new Setup("abc", { seed });
    const inFlight: Analyzer[] = [];
    let drawnOnes = 0;
    for (let step = 0; step < 3000; step++) {
      disturb(setup, inFlight);
      const eligible = [...setup.registry.analyzers].filter((
        { available, load, health, batches },
      ) =>
        available && load < (health.state === "probation" ? 1 : batches ? 10 * MAX_LOAD : MAX_LOAD)
      );
      const drawn = setup.registry.draw(setup.packet());
      if (drawn) {
        drawnOnes++;
        setup.registry.release(drawn);
        assert(eligible.includes(drawn), `seed ${seed}, step ${step}: ${drawn.id} is not eligible`);
      } else assertEquals(eligible.length, 0, `seed ${seed}, step ${step}`);
    }
    assert(drawnOnes > 300 && drawnOnes < 3000, `${drawnOnes} of 3000`);
  }
});
