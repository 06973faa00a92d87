/** A file system in memory that is as small as a test wants it; needs root. */

export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Mounts it at an empty folder.
   *
   * @throws {Error} when it may not be mounted
   */
  static async mount(path: string, mebibytes: number): Promise<SmallDisk> {
    await run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "none", path]);
    return new SmallDisk(path);
  }

  /** Writes a file of its own until not a byte fits; returns how many did. */
  fill(): number {
    let written = 0;
    const file = Deno.openSync(`${this.path}/filling`, { create: true, append: true });
    try {
      for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2)) {
        written += writeAll(file, new Uint8Array(size));
      }
    } finally {
      file.close();
    }
    return written;
  }

  /** Removes what {@link fill} wrote. */
  free(): void {
    Deno.removeSync(`${this.path}/filling`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", ["--lazy", this.path]);
  }
}

/** Writes the chunk again and again until the disk is full. */
function writeAll(file: Deno.FsFile, chunk: Uint8Array): number {
  let written = 0;
  for (;;) {
    try {
      const now = file.writeSync(chunk);
      written += now;
      if (now < chunk.length) return written;
    } catch {
      return written;
    }
  }
}

async function run(command: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot ${command}: ${new TextDecoder().decode(stderr).trim()}`);
}
