/** A gantryd of the bench's own: temporary roots, a busybox image, a client; taken away afterwards. */
import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxArchive } from "../../scripts/base-image.ts";
import { unmountBelow } from "./unmount.ts";

const ROOT = join(import.meta.dirname, "..", "..");

export interface BenchDaemon extends AsyncDisposable {
  readonly pid: number;
  readonly folder: string;
  readonly execRoot: string;
  readonly host: string;
  /** A JSON request; throws with the message of a status from 400 on. */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** The raw answer. */
  open(method: string, path: string, body?: unknown): Promise<IncomingMessage>;
}

export async function startDaemon(...flags: string[]): Promise<BenchDaemon> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-bench-"));
  const execRoot = join(folder, "exec");
  const socketPath = join(folder, "gantry.sock");
  const places = ["--data-root", join(folder, "data"), "--exec-root", execRoot, "--pidfile", join(folder, "pid")];
  const child = spawn(join(ROOT, "bin", "gantryd"), ["-H", `unix://${socketPath}`, ...places, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log = (log + chunk).slice(-4000)));
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const open = (method: string, path: string, body?: unknown) => send({ socketPath, agent, method, path, body });
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await open(method, path, body);
    const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
    if ((response.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return (text === "" || !text.startsWith("{") || text.includes("}\n{") ? undefined : JSON.parse(text)) as T;
  };
  await answering(
    child,
    () => call("GET", "/_ping"),
    () => log,
  );
  const archive = join(folder, "busybox.tar");
  await makeBusyboxArchive(archive);
  await call("POST", "/images/load", createReadStream(archive));
  return {
    pid: child.pid ?? 0,
    folder,
    execRoot,
    host: `unix://${socketPath}`,
    call,
    open,
    async [Symbol.asyncDispose]() {
      for (const { Id } of (await (
        await import("node:stream/consumers")
      ).json(await open("GET", "/containers/json?all=1"))) as { Id: string }[])
        await call("DELETE", `/containers/${Id}?force=1&v=1`);
      agent.destroy();
      child.kill("SIGTERM");
      if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
      unmountBelow(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Send {
  readonly socketPath: string;
  readonly agent: Agent;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

function send({ socketPath, agent, method, path, body }: Send): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const streamed = body instanceof Object && "pipe" in body;
    const text = body === undefined || streamed ? "" : JSON.stringify(body);
    const headers = streamed
      ? { "Content-Type": "application/x-tar" }
      : { ...(text === "" ? {} : { "Content-Type": "application/json" }), "Content-Length": Buffer.byteLength(text) };
    const sent = request({ socketPath, agent, method, path: `/v1.51${path}`, headers }, resolve).on("error", reject);
    if (streamed) (body as NodeJS.ReadableStream).pipe(sent);
    else sent.end(text);
  });
}

async function answering(child: ChildProcess, ping: () => Promise<unknown>, log: () => string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await ping();
      return;
    } catch (error) {
      if (child.exitCode !== null || attempt > 500)
        throw new Error(`gantryd did not come up:\n${log()}`, { cause: error });
      await sleep(20);
    }
  }
}

/** Proportional memory of a process in KiB. */
export function proportionalMemory(pid: number): number {
  const path = `/proc/${pid}/smaps_rollup`;
  return existsSync(path) ? Number(/^Pss:\s+(\d+)/m.exec(readFileSync(path, "utf8"))?.[1] ?? 0) : 0;
}
