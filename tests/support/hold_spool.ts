/** A process that has a data folder, with two packets in it, until it is killed. */

import { makePackets, openSpool, put } from "./spools.ts";

const spool = openSpool(Deno.args[0]!);
put(spool, makePackets(2));
console.log("ready");
setInterval(() => spool.sizes(), 1000);
