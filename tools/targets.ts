/** The platforms that executables are made for, and what tells them apart. */

export interface Target {
  /** As `deno compile --target` wants it. */
  readonly triple: string;
  /** As release files and Docker's TARGETARCH name it. */
  readonly name: string;
  /** What an executable's name ends with. */
  readonly suffix: "" | ".exe";
}

export const TARGETS: readonly Target[] = [
  { triple: "x86_64-unknown-linux-gnu", name: "linux-amd64", suffix: "" },
  { triple: "aarch64-unknown-linux-gnu", name: "linux-arm64", suffix: "" },
  { triple: "x86_64-apple-darwin", name: "macos-amd64", suffix: "" },
  { triple: "aarch64-apple-darwin", name: "macos-arm64", suffix: "" },
  { triple: "x86_64-pc-windows-msvc", name: "windows-amd64", suffix: ".exe" },
  { triple: "aarch64-pc-windows-msvc", name: "windows-arm64", suffix: ".exe" },
];

/** Finds a target by its triple or its name. */
export function findTarget(text: string): Target | undefined {
  return TARGETS.find(({ triple, name }) => text === triple || text === name);
}

/** Of the files that start with these bytes: `linux-amd64`; undefined when it is none we know. */
export function platformOf(head: Uint8Array): string | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const word = (offset: number) => offset + 4 <= view.byteLength ? view.getUint32(offset, true) : 0;
  // ELF: e_machine; Mach-O: cputype; PE: Machine behind the header that e_lfanew points at.
  if (word(0) === 0x464c457f) return nameOf("linux", word(16) >>> 16, { amd64: 62, arm64: 183 });
  if (word(0) === 0xfeedfacf) {
    return nameOf("macos", word(4), { amd64: 0x01000007, arm64: 0x0100000c });
  }
  if ((word(0) & 0xffff) === 0x5a4d) {
    return nameOf("windows", word(word(60) + 4) & 0xffff, { amd64: 0x8664, arm64: 0xaa64 });
  }
  return undefined;
}

function nameOf(
  os: string,
  machine: number,
  machines: Readonly<Record<string, number>>,
): string | undefined {
  const arch = Object.keys(machines).find((name) => machines[name] === machine);
  return arch && `${os}-${arch}`;
}
