/** Writes down what the programs are made of, as a CycloneDX 1.6 document, from the lock file. */

import type { Lock, LockedPackage } from "./packages.ts";

export interface SbomOptions {
  readonly version: string;
  /** Of the runtime that executables embed. */
  readonly denoVersion: string;
}

interface Component {
  readonly type: "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** The document; the same input gives the same text. */
export function makeSbom(lock: Lock, { version, denoVersion }: SbomOptions): unknown {
  const packages = [
    ...Object.entries(lock.npm ?? {}).map(([id, one]) => describePackage("npm", id, one)),
    ...Object.entries(lock.jsr ?? {}).map(([id, one]) => describePackage("jsr", id, one)),
  ];
  const deno: Component = {
    type: "platform",
    ...identify("generic", "deno", denoVersion),
  };
  const own = `pkg:generic/distributor@${version}`;
  const components = [deno, ...packages];
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": own,
        name: "distributor",
        version,
        purl: own,
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components,
    dependencies: [{ ref: own, dependsOn: components.map((one) => one["bom-ref"]) }],
  };
}

function describePackage(
  kind: "npm" | "jsr",
  ...[id, { integrity }]: [id: string, one: LockedPackage]
): Component {
  const at = id.lastIndexOf("@");
  const identity = identify(kind, id.slice(0, at), id.slice(at + 1));
  // JSR's is of the list of a package's files, not of an archive: no hash in CycloneDX's sense.
  return kind === "jsr"
    ? {
      type: "library",
      ...identity,
      properties: [{ name: "jsr:manifest:sha256", value: integrity }],
    }
    : {
      type: "library",
      ...identity,
      hashes: [{ alg: "SHA-512", content: Uint8Array.fromBase64(integrity.slice(7)).toHex() }],
    };
}

function identify(
  kind: string,
  ...[name, version]: [name: string, version: string]
): Pick<Component, "bom-ref" | "name" | "version" | "purl"> {
  const purl = `pkg:${kind}/${name.replace("@", "%40")}@${version}`;
  return { "bom-ref": purl, name, version, purl };
}
