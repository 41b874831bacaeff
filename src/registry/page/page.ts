/** The web page: files that are sent as they are, under a policy that runs nothing else. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RegistryError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { sendEmpty } from "../http/reply.ts";

const FOLDER = join(import.meta.dirname, "files");

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

const FILES = new Set([
  "index.html",
  "page.css",
  "api.js",
  "dom.js",
  "main.js",
  "manifest.js",
  "repositories.js",
  "repository.js",
]);

export async function sendPage({ response, params, auth }: Exchange): Promise<void> {
  const file = params.file || "index.html";
  if (!FILES.has(file)) throw new RegistryError("UNSUPPORTED", "no such page", { status: 404 });
  const realm = auth.options.server?.realm;
  const places = ["'self'", ...(realm === undefined ? [] : [new URL(realm).origin])].join(" ");
  const body = await readFile(join(FOLDER, file));
  response.writeHead(200, {
    "Content-Type": TYPES[file.split(".").at(-1) ?? ""],
    "Content-Length": body.length,
    "Cache-Control": "no-cache",
    "Content-Security-Policy": `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${places}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    "Referrer-Policy": "no-referrer",
  });
  response.end(body);
}

export async function goToPage({ response }: Exchange): Promise<void> {
  sendEmpty(response, 302, { Location: "/ui/" });
}
