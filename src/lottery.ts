/**
 * The weighted draw: random, yet true to the weights in messages.
 *
 * Pure: chance is handed in, time and health are unknown here. Entries are small integers that the
 * registry gives out. Always true: over the entries in the draw, credits plus the pot sum to zero.
 */

import { Heap } from "./heap.ts";
import type { Random } from "./random.ts";

/** Packets' worth of credit by which an entry may run ahead of its share: what keeps draws random. */
const SLACK_PACKETS = 2;
/** An entry brings back from being suspended its share of so many packets' worth of credit, at most … */
const SUSPENDED_PACKETS = 32;
/** … and, if its share is nearly all, no more than of so many. */
const MAX_SUSPENDED_PACKETS = 16;
/** Packets over which the mean packet size is remembered. */
const MEAN_WINDOW_PACKETS = 1000;
/** Draws after which the sums are computed afresh, so that rounding errors cannot add up. */
const REBASE_DRAWS = 1 << 20;
/** A leap of the total weight by this factor, down or up, leaves sums or a horizon worth renewing. */
const REBASE_LEAP = 1000;
/** Smaller weights count as this: what is divided by them must stay finite. */
const MIN_WEIGHT = 1e-100;

/**
 * A lottery whose tickets are credit.
 *
 * A packet of `n` messages credits every entry with its share of `n`, and the entry that is drawn
 * pays `n`. An entry holds tickets in proportion to its credit plus a slack of
 * {@link SLACK_PACKETS} mean packets times its share, so the draw stays unpredictable while no
 * entry strays from its share by more than about one packet, however sizes vary. An entry that
 * leaves drops its credit and starts again from zero when it returns: nothing is caught up. One
 * that is suspended, because it is full for the moment, keeps its credit, and gains no more of it
 * than its share of {@link SUSPENDED_PACKETS} mean packets: moments of being full do not shift the
 * shares. What it would have beyond that is forgiven to those who took the packets in its stead.
 *
 * Credits grow together, so they are kept as one number: `clock`, messages per unit of weight. An
 * entry's credit is `weight × clock − paid`. Entries with tickets stand in two binary indexed
 * trees; the others wait in a heap for the clock reading at which their credit is positive again.
 * A draw costs O(log n) for n entries.
 *
 * Source: virtual time as in weighted fair queueing (Demers, Keshav, Shenker 1989), with the
 * earliest-deadline pick replaced by a lottery (Waldspurger, Weihl 1994) over what is owed.
 */
export class Lottery {
  #weight = new Float64Array(16);
  #paid = new Float64Array(16);
  /** 1 where the entry stands in the trees. */
  #ticketed = new Uint8Array(16);
  /** 1 where the entry takes part but cannot be drawn. */
  #suspended = new Uint8Array(16);
  #suspendedCount = 0;
  /** Says which heap item of an entry is the valid one. */
  #turn = new Uint32Array(16);
  #weightTree = new Float64Array(17);
  #paidTree = new Float64Array(17);
  readonly #waiting = new Heap<{ entry: number; turn: number }>();
  #totalWeight = 0;
  #size = 0;
  #clock = 0;
  /** The clock reading at which tickets are counted: `clock` plus the slack; rebasing renews it. */
  #horizon = 0;
  /** Credit left behind by entries that went, not yet shared out, in messages. */
  #pot = 0;
  #meanMessages = 1;
  #packetsSeen = 0;
  #drawsToRebase = REBASE_DRAWS;

  /** Whether an entry can be drawn now. */
  isOpen(entry: number): boolean {
    return this.weight(entry) > 0 && this.#suspended[entry] === 0;
  }

  /** How many entries take part. */
  get size(): number {
    return this.#size;
  }

  /** An entry's present weight; 0 when it takes no part. */
  weight(entry: number): number {
    return this.#weight[entry] ?? 0;
  }

  /** An entry's share among those in the draw, 0 to 1. */
  share(entry: number): number {
    return this.#totalWeight > 0 ? this.weight(entry) / this.#totalWeight : 0;
  }

  /**
   * Sets an entry's weight, O(log n).
   *
   * From 0 to a weight: joins with no credit. To 0: leaves; its credit or debt is shared among
   * those that stay. From one weight to another: keeps its credit.
   *
   * @param wanted finite, ≥ 0
   */
  setWeight(entry: number, wanted: number): void {
    const weight = wanted > 0 ? Math.max(wanted, MIN_WEIGHT) : 0;
    if (entry >= this.#weight.length) this.#grow(entry + 1);
    const before = this.#weight[entry]!;
    if (before === weight) return;
    const credit = before * this.#clock - this.#paid[entry]!;
    if (this.#ticketed[entry]) this.#leaveTrees(entry);
    this.#turn[entry]!++;
    const totalBefore = this.#totalWeight;
    this.#totalWeight += weight - before;
    this.#weight[entry] = weight;
    if (weight === 0) {
      this.#size--;
      this.#suspendedCount -= this.#suspended[entry]!;
      this.#suspended[entry] = 0;
      this.#pot += credit;
      this.#paid[entry] = 0;
    } else {
      if (before === 0) this.#size++;
      this.#paid[entry] = weight * this.#clock - (before === 0 ? 0 : credit);
      this.#enlist(entry);
    }
    if (this.#size === 0) this.#reset();
    else if (isLeap(totalBefore, this.#totalWeight)) this.#rebase();
  }

  /** Suspends an entry that takes part, or lets it be drawn again. O(log n). */
  setSuspended(entry: number, suspended: boolean): void {
    if (this.weight(entry) === 0 || this.#suspended[entry] === Number(suspended)) return;
    this.#suspendedCount += suspended ? 1 : -1;
    if (suspended) {
      this.#suspended[entry] = 1;
      if (this.#ticketed[entry]) this.#leaveTrees(entry);
      this.#turn[entry]!++;
      return;
    }
    const credit = this.#weight[entry]! * this.#clock - this.#paid[entry]!;
    const most = Math.min(MAX_SUSPENDED_PACKETS, SUSPENDED_PACKETS * this.share(entry));
    const excess = credit - most * this.#meanMessages;
    if (excess > 0) this.#forgive(entry, excess);
    this.#suspended[entry] = 0;
    this.#enlist(entry);
  }

  /** Moves credit of an entry that stands in no tree to those in debt, by what each owes. O(n log n). */
  #forgive(creditor: number, credit: number): void {
    const debtOf = (entry: number) =>
      Math.max(0, this.#paid[entry]! - this.#weight[entry]! * this.#clock);
    let debts = 0;
    for (let i = 0; i < this.#weight.length; i++) debts += debtOf(i);
    const forgiven = Math.min(credit, debts);
    this.#paid[creditor]! += credit;
    this.#pot += credit - forgiven;
    for (let i = 0; i < this.#weight.length && debts > 0; i++) {
      const part = forgiven * debtOf(i) / debts;
      if (part > 0) this.#refund(i, part);
    }
  }

  #refund(entry: number, messages: number): void {
    this.#paid[entry]! -= messages;
    if (this.#ticketed[entry]) {
      this.#add(this.#paidTree, entry, -messages);
    } else {
      this.#turn[entry]!++;
      this.#enlist(entry);
    }
  }

  /**
   * Draws the entry that receives a packet and books the packet to it. O(log n), or O(n) with
   * entries to avoid.
   *
   * @param messages size of the packet, ≥ 1
   * @param avoid entries to pass over while any other takes part
   * @returns the entry, or -1 when none can be drawn
   */
  draw(messages: number, random: Random, avoid?: readonly number[]): number {
    if (this.#size === this.#suspendedCount) return -1;
    this.#advance(messages);
    const entry = avoid?.length ? this.#drawOther(avoid, random) : this.#drawTicket(random);
    this.#pay(entry, messages);
    if (--this.#drawsToRebase <= 0) this.#rebase();
    return entry;
  }

  /** Credits all entries with a packet, after what earlier leavers took or left is settled. */
  #advance(messages: number): void {
    this.#packetsSeen = Math.min(this.#packetsSeen + 1, MEAN_WINDOW_PACKETS);
    this.#meanMessages += (messages - this.#meanMessages) / this.#packetsSeen;
    this.#horizon = Math.max(this.#horizon, this.#clock + this.#slack());
    const credit = Math.max(0, messages + this.#pot);
    this.#pot += messages - credit;
    this.#clock += credit / this.#totalWeight;
    for (let due = this.#waiting.peekKey(); due! < this.#horizon; due = this.#waiting.peekKey()) {
      const { entry, turn } = this.#waiting.pop()!;
      if (this.#turn[entry] === turn) this.#enlist(entry);
    }
  }

  /** What entries may run ahead, in messages per unit of weight. */
  #slack(): number {
    return SLACK_PACKETS * this.#meanMessages / this.#totalWeight;
  }

  #pay(entry: number, messages: number): void {
    if (!this.#ticketed[entry]) {
      // Its place in the heap is now too early; enlist() puts that right when it comes up.
      this.#paid[entry]! += messages;
      return;
    }
    if ((this.#paid[entry]! + messages) / this.#weight[entry]! < this.#horizon) {
      this.#paid[entry]! += messages;
      this.#add(this.#paidTree, entry, messages);
      return;
    }
    this.#leaveTrees(entry);
    this.#paid[entry]! += messages;
    this.#enlist(entry);
  }

  #drawTicket(random: Random): number {
    const tickets = this.#horizon * this.#sum(this.#weightTree) - this.#sum(this.#paidTree);
    // Where suspended entries hold all the credit, the others share by weight meanwhile.
    if (this.#suspendedCount > 0 && tickets <= 0) return this.#drawByWeight([], random);
    const entry = this.#find(random() * tickets);
    return this.#ticketed[entry] ? entry : this.#mostOwed();
  }

  /** A retry must go elsewhere now, whatever the credits are. */
  #drawOther(avoid: readonly number[], random: Random): number {
    const entry = this.#drawByWeight(avoid, random);
    return entry < 0 ? this.#drawTicket(random) : entry;
  }

  /** Draws by weight alone, O(n); -1 when every entry that can be drawn is to be avoided. */
  #drawByWeight(avoid: readonly number[], random: Random): number {
    const may = (entry: number) => this.isOpen(entry) && !avoid.includes(entry);
    let total = 0;
    for (let i = 0; i < this.#weight.length; i++) if (may(i)) total += this.#weight[i]!;
    let ticket = random() * total;
    let last = -1;
    for (let i = 0; i < this.#weight.length; i++) {
      if (!may(i)) continue;
      last = i;
      ticket -= this.#weight[i]!;
      if (ticket < 0) break;
    }
    return last;
  }

  /** The answer where rounding leaves no ticket to find. */
  #mostOwed(): number {
    let best = -1;
    let most = -Infinity;
    for (let i = 0; i < this.#weight.length; i++) {
      if (!this.isOpen(i)) continue;
      const owed = this.#tickets(i) / this.#weight[i]!;
      if (owed > most) [best, most] = [i, owed];
    }
    return best;
  }

  #tickets(entry: number): number {
    return this.#weight[entry]! * this.#horizon - this.#paid[entry]!;
  }

  /** Puts an entry into the trees, or into the heap until it has tickets. */
  #enlist(entry: number): void {
    if (this.#suspended[entry]) return;
    const due = this.#paid[entry]! / this.#weight[entry]!;
    if (due < this.#horizon) {
      this.#ticketed[entry] = 1;
      this.#add(this.#weightTree, entry, this.#weight[entry]!);
      this.#add(this.#paidTree, entry, this.#paid[entry]!);
    } else {
      this.#waiting.push(due, { entry, turn: ++this.#turn[entry]! });
    }
  }

  #leaveTrees(entry: number): void {
    this.#ticketed[entry] = 0;
    this.#add(this.#weightTree, entry, -this.#weight[entry]!);
    this.#add(this.#paidTree, entry, -this.#paid[entry]!);
  }

  #add(tree: Float64Array, entry: number, amount: number): void {
    for (let at = entry + 1; at < tree.length; at += at & -at) tree[at]! += amount;
  }

  /** The sum over all entries of a tree. */
  #sum(tree: Float64Array): number {
    return tree[tree.length - 1]!;
  }

  /** Descends to the entry in whose range the ticket falls. */
  #find(ticket: number): number {
    const capacity = this.#weight.length;
    let at = 0;
    for (let step = capacity; step > 0; step >>= 1) {
      const next = at + step;
      if (next > capacity) continue;
      const tickets = this.#horizon * this.#weightTree[next]! - this.#paidTree[next]!;
      if (tickets > ticket) continue;
      ticket -= tickets;
      at = next;
    }
    return Math.min(at, capacity - 1);
  }

  /** Doubles the room; capacities are powers of two, so the trees' last cell is the whole sum. */
  #grow(needed: number): void {
    let capacity = this.#weight.length;
    while (capacity < needed) capacity *= 2;
    const weight = this.#weight;
    const paid = this.#paid;
    const turn = this.#turn;
    this.#weight = new Float64Array(capacity);
    this.#weight.set(weight);
    this.#paid = new Float64Array(capacity);
    this.#paid.set(paid);
    const suspended = this.#suspended;
    this.#suspended = new Uint8Array(capacity);
    this.#suspended.set(suspended);
    this.#turn = new Uint32Array(capacity);
    this.#turn.set(turn);
    this.#rebase();
  }

  /** Moves the clock back to zero and computes every sum anew, O(n log n). */
  #rebase(): void {
    const clock = this.#clock;
    this.#drawsToRebase = REBASE_DRAWS;
    this.#clock = 0;
    this.#totalWeight = 0;
    this.#weight.forEach((weight, entry) => {
      this.#totalWeight += weight;
      this.#paid[entry]! -= weight * clock;
    });
    this.#horizon = this.#totalWeight > 0 ? this.#slack() : 0;
    this.#weightTree = new Float64Array(this.#weight.length + 1);
    this.#paidTree = new Float64Array(this.#weight.length + 1);
    this.#ticketed = new Uint8Array(this.#weight.length);
    this.#waiting.clear();
    this.#weight.forEach((weight, entry) => {
      if (weight > 0) this.#enlist(entry);
    });
  }

  #reset(): void {
    this.#pot = 0;
    this.#rebase();
  }
}

function isLeap(before: number, after: number): boolean {
  return before > after * REBASE_LEAP || after > before * REBASE_LEAP;
}
