import { assert, assertEquals } from "@std/assert";
import { createHostCheck } from "../src/hosts.ts";

const MINE = [
  "127.0.0.1:8080",
  "10.1.2.3",
  "[::1]:8080",
  "[fe80::1]",
  "localhost:8080",
  "LOCALHOST",
];
const PRIVATE = ["distributor:8080", "distributor.logs.svc", "distributor.logs.svc.cluster.local"];
const HOME = ["rack7.local", "logs.corp.internal:80", "a.localhost", "nas.home.arpa."];
const STRANGE = [
  "evil.example",
  "evil.com:8080",
  "127.0.0.1.nip.io",
  "localhost.evil.com",
  "local.",
];

Deno.test("createHostCheck() takes addresses and names that no stranger can own, and no others", () => {
  const isMine = createHostCheck(["private"]);
  for (const host of [...MINE, ...PRIVATE, ...HOME]) assert(isMine(host), host);
  assertEquals(STRANGE.filter(isMine), ["local."], "a name without a dot is of this network");
});

Deno.test("createHostCheck() takes the names that it is given as well, or all", () => {
  const isMine = createHostCheck(["logs.example.com.", "Other.example.com"]);
  assert(isMine("logs.example.com:443") && isMine("other.EXAMPLE.com") && isMine("127.0.0.1"));
  assert(!isMine("evil.logs.example.com"));
  assert(createHostCheck(["private", "any"])("evil.com"));
});
