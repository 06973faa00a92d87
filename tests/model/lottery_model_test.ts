/** The lottery beside a simple twin, under random changes: what one draws, the other may. */

import { assert, assertLess } from "@std/assert";
import { Lottery } from "../../src/lottery.ts";
import { seededRandom } from "../../src/random.ts";
import { logUniform } from "../support/lotteries.ts";

/** The lottery as its docstring tells it, every sum made afresh: O(n) a draw. */
class Twin {
  readonly weights: number[] = [];
  readonly credits: number[] = [];
  readonly suspended: boolean[] = [];
  pot = 0;
  #mean = 1;
  #seen = 0;
  /** What an entry may run ahead, per unit of weight; used up by the credit of each packet. */
  #lead = 0;

  get #total(): number {
    return this.weights.reduce((a, b) => a + b, 0);
  }

  setWeight(entry: number, weight: number): void {
    const before = this.weights[entry] ?? 0;
    const wasEmpty = this.#total === 0;
    this.weights[entry] = weight;
    if (before === 0 || weight === 0) {
      this.pot += weight === 0 ? this.credits[entry] ?? 0 : 0;
      this.credits[entry] = 0;
      this.suspended[entry] = false;
    }
    if (this.#total === 0) this.pot = 0;
    else if (wasEmpty) this.#lead = 2 * this.#mean / this.#total;
  }

  setSuspended(entry: number, suspended: boolean): void {
    if (!this.weights[entry] || this.suspended[entry] === suspended) return;
    this.suspended[entry] = suspended;
    if (suspended) return;
    const most = Math.min(16, 32 * this.weights[entry]! / this.#total) * this.#mean;
    const excess = Math.max(0, this.credits[entry]! - most);
    const debts = this.weights.map((weight, i) => weight ? Math.max(0, -this.credits[i]!) : 0);
    const owed = debts.reduce((a, b) => a + b, 0);
    const forgiven = Math.min(excess, owed);
    this.credits[entry]! -= excess;
    this.pot += excess - forgiven;
    if (owed > 0) debts.forEach((debt, i) => this.credits[i]! += forgiven * debt / owed);
  }

  /** Credits a packet and fails unless `drawn` is the entry that `chance` points at. */
  check(messages: number, drawn: number, chance: number, avoid: readonly number[]): void {
    const total = this.#total;
    this.#seen = Math.min(this.#seen + 1, 1000);
    this.#mean += (messages - this.#mean) / this.#seen;
    this.#lead = Math.max(this.#lead, 2 * this.#mean / total);
    const credit = Math.max(0, messages + this.pot);
    this.pot += messages - credit;
    this.#lead -= credit / total;
    this.weights.forEach((weight, i) => this.credits[i]! += credit * weight / total);
    this.#assertPointed(drawn, chance, avoid);
    this.credits[drawn]! -= messages;
  }

  #assertPointed(drawn: number, chance: number, avoid: readonly number[]): void {
    const open = this.weights.map((weight, i) => this.suspended[i] ? 0 : weight);
    const others = open.map((weight, i) => avoid.includes(i) ? 0 : weight);
    const owed = open.map((weight, i) =>
      weight > 0 ? this.credits[i]! + weight * this.#lead : -Infinity
    );
    const byWeight = avoid.length > 0 && others.some((weight) => weight > 0);
    let tickets = byWeight ? others : owed.map((count) => Math.max(0, count));
    if (tickets.every((count) => count < 1e-6)) {
      const perWeight = owed.map((count, i) => count / this.weights[i]!);
      if (perWeight[drawn]! >= Math.max(...perWeight) - 1e-6) return;
      assert(this.suspended.includes(true), "the one that is owed the most");
      tickets = open;
    }
    const sum = tickets.reduce((a, b) => a + b, 0);
    const from = tickets.slice(0, drawn).reduce((a, b) => a + b, 0);
    const margin = 1e-6 * (1 + sum);
    assert(
      chance * sum > from - margin && chance * sum < from + tickets[drawn]! + margin,
      `drew ${drawn}, tickets ${tickets}, chance ${chance}`,
    );
  }
}

Deno.test("lottery does exactly what a simple twin does, whatever comes, and loses no credit", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const lottery = new Lottery();
    const twin = new Twin();
    const random = seededRandom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const set = (entry: number, weight: number) => {
      lottery.setWeight(entry, weight);
      twin.setWeight(entry, weight);
    };
    const suspend = (entry: number, suspended: boolean) => {
      lottery.setSuspended(entry, suspended);
      twin.setSuspended(entry, suspended);
    };
    for (let entry = 0; entry < 12; entry++) set(entry, 0.5 + 4 * random());
    let total = 0;
    let closed = 0;
    for (let step = 0; step < 10_000; step++) {
      if (pick(10) === 0) set(pick(12), pick(3) === 0 ? 0 : 0.5 + 4 * random());
      if (pick(1000) === 0) { for (let entry = 0; entry < 12; entry++) set(entry, 0); }
      if (pick(4) === 0) suspend(pick(12), pick(3) === 0);
      if (pick(300) === 0) { for (let entry = 0; entry < 12; entry++) suspend(entry, true); }
      const messages = logUniform(random);
      const avoid = pick(20) === 0 ? [pick(12), pick(12)] : [];
      const chance = random();
      const drawn = lottery.draw(messages, () => chance, avoid);
      if (drawn < 0) {
        assert(twin.weights.every((weight, i) => weight === 0 || twin.suspended[i]));
        closed++;
        continue;
      }
      twin.check(messages, drawn, chance, avoid);
      total += messages;
    }
    const left = twin.credits.reduce((a, b) => a + b, twin.pot);
    assertLess(Math.abs(left), 1e-9 * total, `seed ${seed}`);
    assert(closed > 10 && closed < 5000, `nobody could be drawn ${closed} times`);
  }
});
