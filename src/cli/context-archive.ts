/** Contexts as files to carry elsewhere: a tar with `meta.json` and `tls/<endpoint>/<file>`, as docker writes and reads it. */
import { EngineError } from "../base/errors.ts";
import { readTar } from "../base/tar/reader.ts";
import { TarWriter } from "../base/tar/writer.ts";
import type { FullContext } from "./contexts.ts";
import type { StoredContext } from "./endpoint.ts";

/** Bytes of one file, and of all. */
const LIMIT = 10 << 20;

export async function packContext({ meta, tls }: FullContext): Promise<Buffer> {
  const writer = new TarWriter();
  const written = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  await writer.add({ path: "meta.json", mode: 0o644 }, JSON.stringify(meta));
  await writer.add({ path: "tls", type: "directory", mode: 0o700 });
  for (const [endpoint, files] of Object.entries(tls)) {
    await writer.add({ path: `tls/${endpoint}`, type: "directory", mode: 0o700 });
    for (const [name, bytes] of Object.entries(files))
      await writer.add({ path: `tls/${endpoint}/${name}`, mode: 0o600 }, bytes);
  }
  await writer.finish();
  return Buffer.concat(await written);
}

/** The context under its new name. Throws "invalid" for what is no context, holds other files, or is too long. */
export async function unpackContext(source: AsyncIterable<Buffer>, name: string): Promise<FullContext> {
  let stored: StoredContext | undefined;
  let total = 0;
  const tls: Record<string, Record<string, Buffer>> = {};
  for await (const entry of readTar(source)) {
    const { path, type } = entry.header;
    if (type === "directory") continue;
    const [root = "", endpoint = "", file = "", ...more] = path.split("/");
    const known = path === "meta.json" || (root === "tls" && plain(endpoint) && plain(file) && more.length === 0);
    if (!known || type !== "file") throw new EngineError("invalid", `${path}: unexpected context file`);
    const bytes = await entry.bytes(LIMIT - total);
    total += bytes.length;
    if (path === "meta.json") stored = parseMeta(bytes);
    else tls[endpoint] = { ...tls[endpoint], [file]: bytes };
  }
  if (stored === undefined) throw new EngineError("invalid", "unexpected EOF", { hint: "A context has a meta.json." });
  return { meta: { ...stored, Name: name }, tls };
}

/** A name that leads nowhere else. */
function plain(name: string): boolean {
  return /^[a-zA-Z0-9_+-][a-zA-Z0-9_.+-]*$/.test(name) && name !== "__proto__";
}

function parseMeta(bytes: Buffer): StoredContext {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof value === "object" && value !== null && typeof (value as StoredContext).Endpoints === "object")
      return value as StoredContext;
  } catch {}
  throw new EngineError("invalid", "meta.json: not a context");
}
