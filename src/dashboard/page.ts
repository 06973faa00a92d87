/**
 * Serves the dashboard's page and all that it loads, from the program itself: no file is read.
 *
 * The client's modules are plain JavaScript, served as they are written here.
 */

import { gzipSync } from "node:zlib";
import type { Hono } from "@hono/hono";
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import actions from "./client/actions.js" with { type: "text" };
import charts from "./client/charts.js" with { type: "text" };
import colors from "./client/colors.js" with { type: "text" };
import deadLetters from "./client/dead_letters.js" with { type: "text" };
import dialog from "./client/dialog.js" with { type: "text" };
import dom from "./client/dom.js" with { type: "text" };
import events from "./client/events.js" with { type: "text" };
import failures from "./client/failures.js" with { type: "text" };
import format from "./client/format.js" with { type: "text" };
import icon from "./client/icon.svg" with { type: "text" };
import html from "./client/index.html" with { type: "text" };
import main from "./client/main.js" with { type: "text" };
import panels from "./client/panels.js" with { type: "text" };
import series from "./client/series.js" with { type: "text" };
import status from "./client/status.js" with { type: "text" };
import stream from "./client/stream.js" with { type: "text" };
import style from "./client/style.css" with { type: "text" };
import table from "./client/table.js" with { type: "text" };
import verdict from "./client/verdict.js" with { type: "text" };

const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

interface Asset {
  readonly type: string;
  readonly text: string;
}

/** Everything that the page is made of, by path. */
export const ASSETS: Readonly<Record<string, Asset>> = {
  "/": { type: "text/html; charset=utf-8", text: html },
  "/dashboard/icon.svg": { type: "image/svg+xml", text: icon },
  "/dashboard/style.css": { type: STYLE, text: style },
  "/dashboard/uplot.css": { type: STYLE, text: uplotStyle },
  "/dashboard/uplot.js": { type: SCRIPT, text: uplot },
  "/dashboard/main.js": { type: SCRIPT, text: main },
  "/dashboard/actions.js": { type: SCRIPT, text: actions },
  "/dashboard/charts.js": { type: SCRIPT, text: charts },
  "/dashboard/colors.js": { type: SCRIPT, text: colors },
  "/dashboard/dead_letters.js": { type: SCRIPT, text: deadLetters },
  "/dashboard/dialog.js": { type: SCRIPT, text: dialog },
  "/dashboard/dom.js": { type: SCRIPT, text: dom },
  "/dashboard/events.js": { type: SCRIPT, text: events },
  "/dashboard/failures.js": { type: SCRIPT, text: failures },
  "/dashboard/format.js": { type: SCRIPT, text: format },
  "/dashboard/panels.js": { type: SCRIPT, text: panels },
  "/dashboard/series.js": { type: SCRIPT, text: series },
  "/dashboard/status.js": { type: SCRIPT, text: status },
  "/dashboard/stream.js": { type: SCRIPT, text: stream },
  "/dashboard/table.js": { type: SCRIPT, text: table },
  "/dashboard/verdict.js": { type: SCRIPT, text: verdict },
};

/** Nothing but what is embedded, no inline script or style, in nobody's frame. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-cache",
  "vary": "Accept-Encoding",
};

/** Adds the routes of the page. */
export function addPageRoutes(app: Hono): void {
  for (const [path, { type, text }] of Object.entries(ASSETS)) {
    const etag = `"${hash(text)}"`;
    const headers = { ...HEADERS, "content-type": type, etag };
    let zipped: Uint8Array<ArrayBuffer> | undefined;
    app.get(path, ({ req }) => {
      if (req.header("if-none-match") === etag) {
        return new Response(null, { status: 304, headers: { etag } });
      }
      if (!/\bgzip\b/.test(req.header("accept-encoding") ?? "")) {
        return new Response(text, { headers });
      }
      // Once, when somebody first asks: a start should not pay for it.
      zipped ??= new Uint8Array(gzipSync(text, { level: 9 }));
      return new Response(zipped, { headers: { ...headers, "content-encoding": "gzip" } });
    });
  }
}

/** FNV-1a: another version of a file has another one. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return `${value.toString(16)}-${text.length}`;
}
