/** Opens the sockets of the API. */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type ListenOptions, type Server } from "node:net";
import { dirname } from "node:path";
import type { TlsOptions } from "node:tls";
import type { Api } from "../api/api.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Host } from "./hosts.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface ListenRequest {
  readonly api: Api;
  readonly hosts: readonly Host[];
  readonly tls: TlsOptions | undefined;
  readonly group: { readonly name: string /** Missing is an error. */; readonly required: boolean };
  readonly env: Environment;
  readonly logger: Logger;
}

/** Resolves when every socket answers, with the words that say where. Throws when one can't be had. */
export async function listen(request: ListenRequest): Promise<string[]> {
  const where: string[] = [];
  for (const host of request.hosts) where.push(...(await listenOn(host, request)));
  return where;
}

async function listenOn(host: Host, request: ListenRequest): Promise<string[]> {
  if (host.kind === "unix") return [await listenUnix(host.path, request)];
  if (host.kind === "tcp") return [await listenTcp(host, request)];
  const fds = host.fd === undefined ? activatedSockets(request.env) : [host.fd];
  return Promise.all(
    fds.map(async (fd) => {
      await start(request.api.server(), { fd });
      return `fd://${fd}`;
    }),
  );
}

async function listenUnix(path: string, request: ListenRequest): Promise<string> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await clearStale(path);
  // Nobody else may connect before the group is set.
  const umask = process.umask(0o177);
  const listening = start(request.api.server(), { path });
  process.umask(umask);
  await listening;
  chownSync(path, 0, groupId(request));
  chmodSync(path, 0o660);
  return path;
}

/** Removes a socket that nobody answers on. Throws "conflict" when somebody does, or when it is no socket. */
async function clearStale(path: string): Promise<void> {
  if (!existsSync(path)) return;
  if (!lstatSync(path).isSocket())
    throw new EngineError("conflict", `can't create unix socket ${path}: it is no socket`);
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => resolve(true)).once("error", () => resolve(false));
    probe.once("connect", () => probe.destroy());
  });
  if (answered) throw new EngineError("conflict", `can't create unix socket ${path}: address already in use`);
  rmSync(path, { force: true });
}

/** 0 when the group does not exist and was not asked for by name. */
function groupId({ group, logger }: ListenRequest): number {
  if (/^\d+$/.test(group.name)) return Number(group.name);
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${group.name}:`));
  if (line !== undefined) return Number(line.split(":")[2]);
  if (group.required) throw new EngineError("invalid", `group ${group.name} not found`);
  logger.log("debug", `group ${group.name} not found: the socket is root's alone`);
  return 0;
}

async function listenTcp(
  { address, port }: Extract<Host, { kind: "tcp" }>,
  { api, tls, logger }: ListenRequest,
): Promise<string> {
  if (tls === undefined)
    logger.log(
      "warn",
      `Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone who has access to your network.`,
      { host: `tcp://${address}:${port}` },
    );
  const server = api.server(tls);
  await start(server, { host: address, port });
  const bound = server.address();
  if (bound === null || typeof bound === "string") return `${address}:${port}`;
  return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

/** Descriptors 3 and up, when systemd means this process. */
function activatedSockets(env: Environment): number[] {
  const count = env.LISTEN_PID === String(process.pid) ? Number(env.LISTEN_FDS ?? 0) : 0;
  if (count < 1)
    throw new EngineError(
      "invalid",
      "no sockets found via socket activation: make sure the service was started by systemd",
    );
  return Array.from({ length: count }, (_, index) => 3 + index);
}

function start(server: Server, options: ListenOptions & { fd?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const where = options.path ?? `${options.host}:${options.port}`;
      const why = errnoOf(error) === "EADDRINUSE" ? "address already in use" : errorMessage(error);
      reject(new EngineError("conflict", `failed to load listeners: listen ${where}: ${why}`, { cause: error }));
    });
    server.listen(options, resolve);
  });
}
