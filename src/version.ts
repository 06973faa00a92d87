/** The version of all three programs; the same as in deno.json. */

export const VERSION = "0.1.0";
