// stub until merge
import type { Packet, PacketRef, StoredPacket } from "../packet.ts";
import type { DeadLetterInfo, Selection, Verdict } from "./dead_letter.ts";
import type { Count } from "./ledger.ts";
export interface DeadRow { readonly ref: PacketRef; readonly packet: Packet; readonly verdict: Verdict; readonly since: string; readonly attempts: number }
export declare class Spool {
  readonly found: Count;
  readonly isFull: boolean;
  readonly setAside: readonly string[];
  commit(change: { arrivals: readonly Packet[]; settled: readonly PacketRef[]; dead: readonly DeadRow[] }): number;
  sync(): Promise<void>;
  load(options: { afterGroup: number; maxBytes: number }): { group: number; packets: StoredPacket[]; lost?: Count }[];
  readonly dead: { totals(): Count; list(page: { offset: number; limit: number }): DeadLetterInfo[]; bytesOf(id: string): Uint8Array<ArrayBuffer> | undefined; replay(selection: Selection): Count; delete(selection: Selection): Count };
  close(): void;
}
