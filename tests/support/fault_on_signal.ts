/** Loaded before a program, it gives it a bug: SIGUSR1 rejects, SIGUSR2 throws, and nobody catches. */

Deno.addSignalListener("SIGUSR1", () => void Promise.reject(new Error("nobody catches this")));
Deno.addSignalListener("SIGUSR2", () => {
  throw new Error("nobody catches this");
});
