/** install.sh with a release of fake programs, over HTTP on this machine. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hostTarget } from "../tools/compile.ts";

const SCRIPT = new URL("../install.sh", import.meta.url).pathname;
const ignore = Deno.build.os === "windows";
const NAMES = ["distributor", "analyzer", "generator"];
const decoder = new TextDecoder();

/** A server with the files of a release, and a folder to install to. */
class Release implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();
  readonly target = `${this.folder}/bin`;
  readonly archive = `distributor-1.2.3-${hostTarget().name}.tar.gz`;
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const path = `${this.folder}/files${new URL(request.url).pathname}`;
    return Deno.readFile(path).then(
      (bytes) => new Response(bytes),
      () => new Response("", { status: 404 }),
    );
  });

  static async create(): Promise<Release> {
    const release = new Release();
    await Deno.mkdir(`${release.folder}/files`);
    for (const name of NAMES) {
      const script = `#!/bin/sh\necho "${name} 1.2.3"\n`;
      await Deno.writeTextFile(`${release.folder}/${name}`, script, { mode: 0o755 });
    }
    const archive = `${release.folder}/files/${release.archive}`;
    const args = ["-czf", archive, "-C", release.folder, ...NAMES];
    assert((await new Deno.Command("tar", { args }).output()).success);
    await release.writeChecksum(await Deno.readFile(archive));
    return release;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async writeChecksum(bytes: Uint8Array<ArrayBuffer>, archive = this.archive): Promise<void> {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    await Deno.writeTextFile(`${this.folder}/files/SHA256SUMS`, `${digest}  ${archive}\n`);
  }

  async install(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const output = await new Deno.Command("sh", {
      args: [SCRIPT, ...args],
      cwd: this.folder,
    }).output();
    const { code, stdout, stderr } = output;
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  installed(): string[] {
    try {
      return [...Deno.readDirSync(this.target)].map(({ name }) => name).toSorted();
    } catch {
      return [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test({
  name: "install.sh installs all programs of a release, or those it is told",
  ignore,
  fn: async () => {
    await using release = await Release.create();
    const all = await release.install("--from", release.url, "--to", release.target);
    assertEquals([all.code, all.stderr], [0, ""]);
    assertEquals(release.installed(), NAMES.toSorted());
    assertStringIncludes(all.stdout, `installed generator 1.2.3 as ${release.target}/generator`);
    await Deno.remove(release.target, { recursive: true });
    const words = [`--from=${release.url}/`, `--to=${release.target}`, "analyzer"];
    assertEquals((await release.install(...words)).code, 0);
    assertEquals(release.installed(), ["analyzer"]);
  },
});

Deno.test({
  name: "install.sh installs nothing when the checksum is another",
  ignore,
  fn: async () => {
    await using release = await Release.create();
    await release.writeChecksum(new Uint8Array(1));
    const { code, stderr } = await release.install("--from", release.url, "--to", release.target);
    assertEquals([code, release.installed()], [1, []]);
    assertMatch(stderr, /The checksum of \S+ is [0-9a-f]{64}, not [0-9a-f]{64}/);
  },
});

Deno.test({
  name: "install.sh says in one line what it lacks",
  ignore,
  fn: async () => {
    await using release = await Release.create();
    const rows: [args: string[], words: RegExp][] = [
      [[], /--from/],
      [["--from"], /Missing value for --from/],
      [["--to", release.target, "--from", `${release.url}/gone`], /Cannot get SHA256SUMS from/],
    ];
    for (const [args, words] of rows) {
      const { code, stderr } = await release.install(...args);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, words);
    }
    await release.writeChecksum(new Uint8Array(1), "distributor-1.2.3-plan9-amd64.tar.gz");
    const none = await release.install("--from", release.url, "--to", release.target);
    assertEquals(none.code, 1);
    assertMatch(none.stderr, new RegExp(`has nothing for ${hostTarget().name}`));
    assertEquals((await release.install("--what")).code, 2);
    assertEquals(release.installed(), []);
  },
});
