/** The files that tell of plug-ins. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import type { PluginFolders } from "./plugins.ts";

export interface TlsFiles {
  readonly insecureSkipVerify: boolean;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

export interface PluginAddress {
  /** "unix:///run/docker/plugins/x.sock", "tcp://host:port", "http://…", "https://…". */
  readonly url: string;
  readonly tls: TlsFiles | undefined;
  /** Changes when the file does: an activation of before counts no more. */
  readonly version: string;
}

/** No path can be made of it. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/;
/** With its ending it is the name of a file. */
const LONGEST_NAME = 240;
const MAX_FILE = 1 << 16;

/** The first file of that name, in Docker's order; undefined when there is none. "invalid" for one that cannot be understood. */
export function findPlugin(name: string, { sockets, specs }: PluginFolders): PluginAddress | undefined {
  if (!NAME.test(name) || name.length > LONGEST_NAME) return undefined;
  for (const folder of sockets)
    for (const path of [join(folder, `${name}.sock`), join(folder, name, `${name}.sock`)]) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isSocket())
        return { url: `unix://${path}`, tls: undefined, version: `${path} ${stat.ino} ${stat.ctimeMs}` };
    }
  for (const folder of specs)
    for (const extension of [".spec", ".json"])
      for (const path of [join(folder, `${name}${extension}`), join(folder, name, `${name}${extension}`)]) {
        const text = read(path);
        if (text !== undefined)
          return { ...(extension === ".json" ? fromJson : fromSpec)(text, path), version: `${path} ${text}` };
      }
  return undefined;
}

/** Of all files, sorted, each once. */
export function pluginNames({ sockets, specs }: PluginFolders): string[] {
  const found = [
    ...sockets.flatMap((folder) => namesIn(folder, [".sock"])),
    ...specs.flatMap((folder) => namesIn(folder, [".spec", ".json"])),
  ];
  return [...new Set(found)].filter((name) => NAME.test(name)).sort();
}

function namesIn(folder: string, extensions: readonly string[]): string[] {
  return entries(folder).flatMap((entry) => {
    const inner = entry.isDirectory() ? entries(join(folder, entry.name)).map(({ name }) => name) : [];
    const own = inner.filter((name) => basename(name, extname(name)) === entry.name);
    return [entry.name, ...own]
      .filter((name) => extensions.includes(extname(name)))
      .map((name) => basename(name, extname(name)));
  });
}

function entries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    if (statSync(path).size > MAX_FILE) throw new EngineError("invalid", `${path} is too large to tell of a plug-in`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

type Address = Omit<PluginAddress, "version">;

function fromSpec(text: string, path: string): Address {
  return { url: checked(text.trim(), path), tls: undefined };
}

function fromJson(text: string, path: string): Address {
  const { Addr, TLSConfig } = parse(text, path) as { Addr?: unknown; TLSConfig?: Readonly<Record<string, unknown>> };
  if (typeof Addr !== "string") throw new EngineError("invalid", `${path} names no address (Addr) of the plug-in`);
  const word = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  return {
    url: checked(Addr, path),
    tls:
      TLSConfig === undefined || TLSConfig === null
        ? undefined
        : {
            insecureSkipVerify: TLSConfig.InsecureSkipVerify === true,
            caFile: word(TLSConfig.CAFile),
            certFile: word(TLSConfig.CertFile),
            keyFile: word(TLSConfig.KeyFile),
          },
  };
}

function parse(text: string, path: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {}
  throw new EngineError("invalid", `${path} is no JSON object`);
}

function checked(url: string, path: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (["unix:", "tcp:", "http:", "https:"].includes(protocol)) return url;
  throw new EngineError("invalid", `${path} names no address of a plug-in: ${JSON.stringify(url.slice(0, 100))}`, {
    hint: "write unix:///path/to/socket or tcp://host:port",
  });
}
