/**
 * What is accepted and not settled, on disk: committed when `commit()` returns, synced once `sync()`
 * has resolved.
 *
 * Commits are in-thread, as one takes less than a hand-over to a thread would; syncs are not, as
 * the disk takes its time. Whoever calls them gathers what comes meanwhile. Always true: a packet
 * leaves only when it is settled, or in the transaction that writes its dead letter; a full disk
 * refuses arrivals and nothing else.
 */

import type { Clock } from "../clock.ts";
import { failpoint } from "../failpoint.ts";
import type { Log } from "../log.ts";
import { type Packet, type PacketRef, revivePacket } from "../packet.ts";
import { AnalyzerRows, MetaRows } from "./analyzer_rows.ts";
import { Ballast } from "./ballast.ts";
import { DataFolder, toOpenError } from "./data_folder.ts";
import { type DeadLetterData, type DeadRow, DeadRows } from "./dead_rows.ts";
import {
  GroupRows,
  type LoadedGroup,
  type Settlement,
  type Totals,
  totalsOf,
} from "./group_rows.ts";
import { GroupWriter } from "./packet_codec.ts";
import { SpoolDatabase } from "./spool_database.ts";
import { faultOf, isDiskFull, isFull, StorageError } from "./storage_error.ts";

export type { PacketRef } from "../packet.ts";
export type { AnalyzerRow } from "./analyzer_rows.ts";
export type { DeadLetterData, DeadLetterRow, DeadRow } from "./dead_rows.ts";
export type { LoadedGroup, StoredPacket, Totals } from "./group_rows.ts";
export { StorageError, type StorageFault } from "./storage_error.ts";

export interface SpoolOptions {
  /** Made if it is not there. */
  readonly folder: string;
  /** The database's pages, dead letters included; its log and the ballast come beside. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What one transaction changes. */
export interface SpoolChange {
  /** They become one group. */
  readonly arrivals: readonly Packet[];
  readonly settled: readonly PacketRef[];
  /** Each settles its packet. */
  readonly dead: readonly DeadRow[];
}

export interface SpoolSizes {
  /** Bytes of the database's pages in use. */
  readonly usedBytes: number;
  /** From here on arrivals are refused; the rest up to the cap is for dead letters and bits. */
  readonly arrivalsMaxBytes: number;
  readonly maxBytes: number;
  readonly walBytes: number;
  readonly commits: number;
  readonly checkpoints: number;
}

/** Of the cap, this part is kept from arrivals, within these bounds. */
const RESERVE_PART = 1 / 8;
const MAX_RESERVE_BYTES = 64 << 20;
/** Pages that a group may take beside its bytes. */
const GROUP_OVERHEAD_BYTES = 32 << 10;

export class Spool {
  /** Files set aside at the start because they were damaged. */
  readonly setAside: readonly string[];
  /** What was there at the start, not settled. */
  readonly found: Totals;
  readonly dead: DeadRows;
  readonly analyzers: AnalyzerRows;
  readonly meta: MetaRows;
  /** What was lost because its group was damaged. */
  readonly lost: Totals = { packets: 0, messages: 0, bytes: 0 };
  readonly #folder: DataFolder;
  readonly #database: SpoolDatabase;
  readonly #groups: GroupRows;
  readonly #ballast: Ballast;
  readonly #writer = new GroupWriter();
  readonly #options: SpoolOptions;
  readonly #arrivalsMaxBytes: number;

  /**
   * Opens the spool of a folder; a damaged one is set aside, and a new one begun.
   *
   * @throws {StorageError} `locked`, `unusable`, `full` or `failed`: one line with what to do
   */
  static open(options: SpoolOptions): Spool {
    const folder = new DataFolder(options.folder);
    const setAside: string[] = [];
    try {
      if (folder.isDamaged) setAside.push(...folder.setAside(options.clock));
      try {
        return new Spool(options, { folder, setAside });
      } catch (error) {
        // Where damage was found it is set aside by now; on a full disk the ballast makes room.
        const isWorthAnother = setAside.length > 0 ||
          (toDatabaseFault(error) === "full" && folder.removeBallast());
        if (!isWorthAnother) throw error;
      }
      return new Spool(options, { folder, setAside });
    } catch (error) {
      folder.release();
      throw toOpenError(error, options.folder);
    }
  }

  private constructor(
    options: SpoolOptions,
    { folder, setAside }: { folder: DataFolder; setAside: string[] },
  ) {
    this.#options = options;
    this.#folder = folder;
    this.setAside = setAside;
    const reserveBytes = Math.min(MAX_RESERVE_BYTES, options.maxBytes * RESERVE_PART);
    this.#arrivalsMaxBytes = options.maxBytes - reserveBytes;
    this.#database = new SpoolDatabase({
      path: folder.paths.database,
      maxBytes: options.maxBytes,
      syncFolder: () => folder.sync(),
      onDamage: () => folder.markDamaged(),
      onUnreadable: () => void setAside.push(...folder.setAside(options.clock)),
    });
    try {
      this.#groups = new GroupRows(this.#database);
      this.found = this.#groups.open();
      this.dead = new DeadRows(this.#database, {
        revive: (letters) => this.#revive(letters),
        committed: () => this.#checkpointIfDue(),
      });
      this.analyzers = new AnalyzerRows(this.#database);
      this.meta = new MetaRows(this.#database);
    } catch (error) {
      this.#database.abandon(error);
      throw error;
    }
    this.#ballast = new Ballast(folder.paths.ballast, {
      bytes: this.#database.maxWalBytes,
      clock: options.clock,
    });
    this.#ballast.ensure();
    if (setAside.length > 0) {
      options.log.error("spool was damaged and set aside, starting empty", { files: setAside });
    }
  }

  /** The highest number of a group, at the start or since. */
  get lastGroup(): number {
    return this.#groups.lastGroup;
  }

  /** Bytes up to which packets are let in; what is beyond is for dead letters and bits. */
  get arrivalsMaxBytes(): number {
    return this.#arrivalsMaxBytes;
  }

  /** Whether so many bytes of packets would be let in now. */
  hasRoom(bytes = 0): boolean {
    if (!this.#ballast.ensure()) return false;
    return this.#database.usedBytes + bytes + GROUP_OVERHEAD_BYTES <= this.#arrivalsMaxBytes;
  }

  /**
   * Writes all of a change in one transaction; returns the number of the arrivals' group. It
   * outlives this process from now on, and the machine's end once `sync()` has resolved.
   * Where there is no room for the arrivals, the rest of the change is written all the same.
   *
   * @throws {StorageError} `full`: no arrival is kept, and the error says what else is;
   *   `failed`: nobody knows what is kept, and nothing may be acknowledged any more
   * @throws {Error} when a packet is settled twice
   */
  commit(change: SpoolChange): number {
    const { arrivals, settled, dead } = change;
    const deadRefs = dead.map(({ ref }) => ref);
    const settlement = this.#database.read(() => this.#groups.plan(settled, deadRefs));
    const hasRoom = arrivals.length === 0 || this.hasRoom(totalsOf(arrivals).bytes);
    try {
      if (!hasRoom) throw new StorageError("full", "Cannot take more packets: the spool is full");
      const group = this.#write(change, settlement);
      this.#checkpointIfDue();
      return group;
    } catch (error) {
      if (!isFull(error)) throw error;
      if (hasRoom) this.#makeRoom();
      throw this.#commitRest(change, settlement, error);
    }
  }

  /**
   * Resolves when all that was committed so far is synced.
   *
   * @throws {StorageError} `failed`
   */
  sync(): Promise<void> {
    return this.#database.sync();
  }

  /**
   * Reads the groups behind another, oldest first: at least one if there is one, and about
   * `maxBytes` of packets. A damaged one is kept as a file, and says what is lost.
   */
  load({ afterGroup, maxBytes }: { afterGroup: number; maxBytes: number }): LoadedGroup[] {
    const groups: LoadedGroup[] = [];
    let bytes = 0;
    let after = afterGroup;
    while (groups.length === 0 || bytes < maxBytes) {
      const read = this.#database.read(() => this.#groups.read(after));
      if (!read) break;
      after = read.group;
      if (read.damaged) this.#putAside(read);
      groups.push(read);
      bytes += totalsOf(read.packets).bytes;
    }
    return groups;
  }

  sizes(): SpoolSizes {
    return {
      usedBytes: this.#database.usedBytes,
      arrivalsMaxBytes: this.#arrivalsMaxBytes,
      maxBytes: this.#options.maxBytes,
      walBytes: this.#database.walBytes,
      commits: this.#database.commits,
      checkpoints: this.#database.checkpoints,
    };
  }

  /** Writes the log back now. */
  checkpoint(): void {
    this.#database.checkpoint();
  }

  /** Writes the log back, closes the files and gives the folder back. */
  close(): void {
    this.#database.close();
    this.#folder.release();
  }

  #write({ arrivals, dead }: SpoolChange, settlement: Settlement): number {
    const group = this.#database.change(() => {
      if (dead.length > 0) {
        this.dead.insert(dead);
        failpoint("during_dead_letter_move");
      }
      this.#groups.settle(settlement);
      const id = arrivals.length > 0 ? this.#insert(arrivals) : this.lastGroup;
      failpoint("after_insert");
      return id;
    }, { sync: false });
    failpoint("after_commit");
    this.#groups.settled(settlement);
    this.dead.inserted(dead);
    this.#groups.inserted(group);
    return group;
  }

  #insert(packets: readonly Packet[]): number {
    const { clock } = this.#options;
    const blob = this.#writer.write(packets, clock.wallMs() - clock.monotonicMs());
    return this.#groups.insert(blob, totalsOf(packets));
  }

  /** What of a change can be written without its arrivals; returns the error that says so. */
  #commitRest(change: SpoolChange, settlement: Settlement, cause: unknown): StorageError {
    const { message } = cause as StorageError;
    const { settled, dead } = change;
    const told = (kept: { settled: boolean; buried: boolean }) =>
      new StorageError("full", message, { cause, ...kept });
    if (this.#tryWrite({ arrivals: [], settled, dead }, settlement)) {
      return told({ settled: true, buried: true });
    }
    if (dead.length === 0) return told({ settled: false, buried: false });
    const alone = this.#database.read(() => this.#groups.plan(settled));
    const isSettled = this.#tryWrite({ arrivals: [], settled, dead: [] }, alone);
    return told({ settled: isSettled, buried: false });
  }

  #tryWrite(change: SpoolChange, settlement: Settlement): boolean {
    if (change.settled.length + change.dead.length === 0) return true;
    try {
      this.#write(change, settlement);
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }

  /** The database found no room: on the disk, unless it met its own cap. */
  #makeRoom(): void {
    if (this.#database.freeBytes > this.#database.maxWalBytes) this.#ballast.free();
    if (!this.#tryCheckpoint()) this.#ballast.free();
  }

  /** Once more with the ballast's room, if the disk is full. */
  #checkpointIfDue(): void {
    try {
      this.#database.checkpointIfDue();
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#ballast.free();
      this.#tryCheckpoint();
    }
  }

  /** Without room it has to wait; what is committed is in the log. */
  #tryCheckpoint(): boolean {
    try {
      this.#database.checkpoint();
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }

  #revive(letters: readonly DeadLetterData[]): () => void {
    const { clock } = this.#options;
    const acceptedAtMs = clock.monotonicMs();
    const packets = letters.map(({ packetId, messages, multiline, data }) =>
      revivePacket({ id: packetId, messages, multiline, bytes: data }, { acceptedAtMs })
    );
    const group = this.#insert(packets);
    return () => this.#groups.inserted(group);
  }

  /** Where the disk has no room for that, it stays where it is, for the next start. */
  #putAside({ group, lost, damaged }: LoadedGroup): void {
    let file = "";
    try {
      file = this.#folder.keepDamaged(`corrupt-group-${group}`, damaged!);
      this.#database.change(() => this.#groups.drop(group));
    } catch (error) {
      if (!isFull(error) && !isDiskFull(error)) throw error;
    }
    this.lost.packets += lost!.packets;
    this.lost.messages += lost!.messages;
    this.lost.bytes += lost!.bytes;
    this.#options.log.error("damaged packets put aside", { file, ...lost });
  }
}

function toDatabaseFault(error: unknown): string | undefined {
  return error instanceof StorageError ? error.kind : faultOf(error);
}
