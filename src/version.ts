/** The version of all three programs, as deno.json has it. */

import denoConfig from "../deno.json" with { type: "json" };

export const VERSION: string = denoConfig.version;
