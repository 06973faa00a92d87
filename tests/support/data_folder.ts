/**
 * A data folder for one test, below the one that the tasks of deno.json may write to.
 *
 * Gone with its owner, in whatever state that leaves it.
 */
export class TestFolder {
  /** As a flag of a distributor that runs in the project's folder. */
  readonly path = `data/test-${crypto.randomUUID()}`;

  get flag(): string {
    return `--data-dir=${this.path}`;
  }

  remove(): void {
    try {
      Deno.removeSync(new URL(`../../${this.path}`, import.meta.url), { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}
