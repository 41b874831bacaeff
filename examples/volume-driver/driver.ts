/**
 * A volume driver in one file: `node driver.ts SOCKET FOLDER` keeps each volume in a folder of its own below FOLDER. The engine finds it
 * by its socket in /run/docker/plugins and speaks Docker's volume plug-in protocol: a POST for each method, JSON in and out.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";

const [socket = "/run/docker/plugins/folders.sock", root = "/var/lib/folders"] = process.argv.slice(2);

interface Asked {
  readonly Name: string;
  /** Who mounts: one more user of the volume. */
  readonly ID?: string;
  readonly Opts?: Readonly<Record<string, string>>;
}

/** Volume → those who have it mounted. A driver of a network file system would mount for the first and unmount after the last. */
const users = new Map<string, Set<string>>();

const folder = (name: string) => join(root, encodeURIComponent(name));

function existing(name: string): string {
  if (!existsSync(folder(name))) throw new Error(`no such volume: ${name}`);
  return folder(name);
}

const METHODS: Readonly<Record<string, (asked: Asked) => object>> = {
  "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
  "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "local" } }),
  "VolumeDriver.Create": ({ Name, Opts = {} }) => {
    const wrong = Object.keys(Opts).find((name) => name !== "mode");
    if (wrong !== undefined) throw new Error(`unknown option ${wrong}; there is: mode`);
    mkdirSync(folder(Name), { recursive: true, mode: Number.parseInt(Opts.mode ?? "755", 8) });
    return {};
  },
  "VolumeDriver.Remove": ({ Name }) => {
    if (users.has(Name)) throw new Error(`${Name} is mounted`);
    rmSync(existing(Name), { recursive: true });
    return {};
  },
  "VolumeDriver.Mount": ({ Name, ID = "" }) => {
    const Mountpoint = existing(Name);
    users.set(Name, (users.get(Name) ?? new Set()).add(ID));
    return { Mountpoint };
  },
  "VolumeDriver.Unmount": ({ Name, ID = "" }) => {
    const left = users.get(Name);
    left?.delete(ID);
    if (left?.size === 0) users.delete(Name);
    return {};
  },
  "VolumeDriver.Path": ({ Name }) => ({ Mountpoint: existing(Name) }),
  "VolumeDriver.Get": ({ Name }) => ({
    Volume: { Name, Mountpoint: existing(Name), Status: { users: users.get(Name)?.size ?? 0 } },
  }),
  "VolumeDriver.List": () => ({
    Volumes: readdirSync(root).map((name) => ({ Name: decodeURIComponent(name), Mountpoint: join(root, name) })),
  }),
};

mkdirSync(root, { recursive: true });
rmSync(socket, { force: true });
createServer(async (request, response) => {
  const method = METHODS[(request.url ?? "").slice(1)];
  if (method === undefined) {
    response.writeHead(404).end();
    return;
  }
  let answer: object;
  try {
    answer = { Err: "", ...method((await json(request).catch(() => ({}))) as Asked) };
  } catch (error) {
    answer = { Err: (error as Error).message };
  }
  response.writeHead(200, { "Content-Type": "application/vnd.docker.plugins.v1.1+json" }).end(JSON.stringify(answer));
}).listen(socket, () => console.log(`folders: listening at ${socket}`));
