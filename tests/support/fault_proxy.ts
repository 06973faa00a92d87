/**
 * A TCP proxy that spoils what passes through it, in a way that can be changed at any time.
 *
 * Faults befall what the server answers; requests pass untouched. Each answer that may not have
 * reached the client whole is counted in `struck`. Sockets are node's, which can send a reset.
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import { Blackhole } from "./blackhole.ts";

/** Bytes of answers on one connection that pass before the fault; a function is asked for each. */
type Threshold = number | (() => number);

/** What befalls connections: new ones, and those already open at their next bytes. */
export type ProxyFault =
  | { readonly kind: "none" }
  /** The port is closed: connections are refused, open ones reset. */
  | { readonly kind: "refuse" }
  /** Connecting gets no answer at all; open connections fall silent. */
  | { readonly kind: "blackhole" }
  /** Connections are taken, and nothing ever comes back. */
  | { readonly kind: "silent" }
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "throttle"; readonly bytesPerSecond: number }
  /** A TCP reset. */
  | { readonly kind: "reset"; readonly afterBytes: Threshold }
  /** A proper end in the middle of an answer. */
  | { readonly kind: "truncate"; readonly afterBytes: Threshold }
  /** The end of sending; what the client sends is still read, for ever. */
  | { readonly kind: "half-close"; readonly afterBytes: Threshold }
  /** Each answer is replaced by as many bytes that mean nothing. */
  | { readonly kind: "garbage" };

const HOST = "127.0.0.1";
const SLICE_MS = 10;

export class FaultProxy {
  readonly #upstreamPort: number;
  readonly #links = new Set<Link>();
  #fault: ProxyFault = { kind: "none" };
  #port = 0;
  #server: Server | undefined;
  #hole: Blackhole | undefined;
  #struck = 0;

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
  }

  /** Starts a proxy for a port of this machine. */
  static async start(upstreamPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstreamPort);
    await proxy.#listen();
    return proxy;
  }

  get url(): string {
    return `http://${HOST}:${this.#port}`;
  }

  get fault(): ProxyFault {
    return this.#fault;
  }

  /** Connections that a fault has ended; answers that it has swallowed or replaced. */
  get struck(): number {
    return this.#struck;
  }

  /** Turns to another fault; resolves when it is in force. */
  async set(fault: ProxyFault): Promise<void> {
    this.#fault = fault;
    const isOpen = fault.kind !== "refuse" && fault.kind !== "blackhole";
    if (!isOpen) this.#unlisten();
    if (fault.kind === "refuse") this.cut();
    if (fault.kind !== "blackhole") this.#fillUp();
    else this.#hole ??= await Blackhole.dig(this.#port);
    if (isOpen && !this.#server) await this.#listen();
  }

  /** Resets all connections; new ones are let in. */
  cut(): void {
    for (const link of this.#links) {
      this.#struck++;
      link.reset();
    }
  }

  [Symbol.dispose](): void {
    this.#unlisten();
    this.cut();
    this.#fillUp();
  }

  #fillUp(): void {
    this.#hole?.close();
    this.#hole = undefined;
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#take(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, HOST, () => resolve());
    });
    this.#server = server;
    this.#port = (server.address() as { port: number }).port;
  }

  #unlisten(): void {
    // Its callback would wait for the connections, which may outlive the listener here.
    this.#server?.close();
    this.#server = undefined;
  }

  #take(client: Socket): void {
    const upstream = connect({ port: this.#upstreamPort, host: HOST, allowHalfOpen: true });
    const link = new Link({ client, upstream }, {
      fault: () => this.#fault,
      onStrike: () => this.#struck++,
      onEnd: () => this.#links.delete(link),
    });
    this.#links.add(link);
  }
}

interface LinkDoors {
  readonly fault: () => ProxyFault;
  readonly onStrike: () => void;
  readonly onEnd: () => void;
}

/** One client's connection and its counterpart. */
class Link {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #doors: LinkDoors;
  #passedBytes = 0;
  #fault: ProxyFault | undefined;
  #thresholdBytes = 0;
  #isMute = false;
  #relaying = Promise.resolve();
  #cancelWait = () => {};

  constructor({ client, upstream }: { client: Socket; upstream: Socket }, doors: LinkDoors) {
    this.#client = client;
    this.#upstream = upstream;
    this.#doors = doors;
    client.on("data", (chunk: Uint8Array) => upstream.writable && upstream.write(chunk));
    upstream.on("data", (chunk: Uint8Array) => this.#enqueue(chunk));
    client.on("end", () => upstream.end());
    upstream.on("end", () => {
      void this.#relaying.then(() => !this.#isMute && client.end());
    });
    client.on("error", () => this.reset());
    upstream.on("error", () => this.reset());
    client.on("close", () => this.#end());
    upstream.on("close", () => this.#isMute || this.#relaying.then(() => client.end()));
  }

  /** Resets both sides. */
  reset(): void {
    this.#cancelWait();
    this.#client.resetAndDestroy();
    this.#upstream.destroy();
  }

  #end(): void {
    this.#cancelWait();
    this.#upstream.destroy();
    this.#doors.onEnd();
  }

  #enqueue(chunk: Uint8Array): void {
    this.#upstream.pause();
    this.#relaying = this.#relaying.then(() => this.#relay(chunk)).then(() => {
      this.#upstream.resume();
    });
  }

  async #relay(chunk: Uint8Array): Promise<void> {
    const fault = this.#doors.fault();
    if (fault !== this.#fault) this.#turnTo(fault);
    if (this.#isMute) return;
    if (fault.kind === "silent" || fault.kind === "blackhole") return this.#doors.onStrike();
    if (fault.kind === "delay") await this.#wait(fault.ms);
    if (fault.kind === "throttle") return await this.#trickle(chunk, fault.bytesPerSecond);
    if (fault.kind === "garbage") return this.#spoil(chunk);
    if ("afterBytes" in fault) return this.#passUpTo(chunk, fault.kind);
    this.#send(chunk);
  }

  #turnTo(fault: ProxyFault): void {
    this.#fault = fault;
    this.#passedBytes = 0;
    if (!("afterBytes" in fault)) return;
    const { afterBytes } = fault;
    this.#thresholdBytes = typeof afterBytes === "number" ? afterBytes : afterBytes();
  }

  #passUpTo(chunk: Uint8Array, kind: "reset" | "truncate" | "half-close"): void {
    const room = this.#thresholdBytes - this.#passedBytes;
    this.#passedBytes += chunk.length;
    if (chunk.length <= room) return this.#send(chunk);
    this.#doors.onStrike();
    this.#isMute = true;
    const last = chunk.subarray(0, room);
    if (kind === "half-close") return void this.#client.end(last);
    const finish = () => kind === "reset" ? this.reset() : this.#client.destroySoon();
    if (last.length === 0) finish();
    else this.#client.write(last, finish);
  }

  #spoil(chunk: Uint8Array): void {
    this.#doors.onStrike();
    this.#send(chunk.map((byte, i) => (byte * 31 + i * 7 + 129) & 0xff));
  }

  async #trickle(chunk: Uint8Array, bytesPerSecond: number): Promise<void> {
    const slice = Math.max(1, Math.round(bytesPerSecond * SLICE_MS / 1000));
    for (let at = 0; at < chunk.length && !this.#client.destroyed; at += slice) {
      this.#send(chunk.subarray(at, at + slice));
      await this.#wait(SLICE_MS);
    }
  }

  #send(chunk: Uint8Array): void {
    if (this.#client.writable) this.#client.write(chunk);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#cancelWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
