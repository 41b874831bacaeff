/** A real gantryd for tests and benchmarks: temporary roots, a busybox image, a client; all taken away afterwards. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxArchive } from "../../scripts/base-image.ts";
import { makeNames } from "../networks/names.ts";
import { unmountBelow } from "./unmount.ts";

const ROOT = join(import.meta.dirname, "..", "..");

export interface DaemonOptions {
  /** Further flags of gantryd. */
  readonly flags?: readonly string[] | undefined;
  /** A program and its first arguments that become gantryd by exec: "unshare", "-m". */
  readonly through?: readonly string[] | undefined;
  /** Load busybox; default true. */
  readonly image?: boolean | undefined;
}

export interface TestDaemon extends AsyncDisposable {
  /** Of the process that runs now. */
  readonly pid: number;
  readonly folder: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  /** For DOCKER_HOST. */
  readonly host: string;
  readonly archive: string;
  /** What gantryd wrote to its standard error, the last of it. */
  log(): string;
  /** A JSON request; throws with status and text from 400 on. */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** The raw answer. A body that is a stream is sent as a tar. */
  open(method: string, path: string, body?: unknown): Promise<IncomingMessage>;
  /** Ends the process with a signal (default SIGKILL) and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same roots and waits until it answers. */
  start(): Promise<void>;
  /** Further flags of its next start, instead of those it had. */
  setFlags(flags: readonly string[]): void;
}

export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const daemon = planDaemon(options);
  await daemon.begin();
  return daemon;
}

export interface PlannedDaemon extends TestDaemon {
  /** Its first start, with the image. When it rejects nothing is left. */
  begin(): Promise<void>;
}

/** Not yet started, but its places are known. */
export function planDaemon({ flags = [], through = [], image = true }: DaemonOptions = {}): PlannedDaemon {
  return new SpawnedDaemon(flags, through, image);
}

class SpawnedDaemon implements PlannedDaemon {
  readonly folder = join(tmpdir(), `gantry-daemon-${randomBytes(4).toString("hex")}`);
  readonly dataRoot = join(this.folder, "data");
  readonly execRoot = join(this.folder, "exec");
  readonly archive = join(this.folder, "busybox.tar");
  readonly #socketPath = join(this.folder, "gantry.sock");
  readonly host = `unix://${this.#socketPath}`;
  #flags: readonly string[];
  readonly #through: readonly string[];
  readonly #image: boolean;
  #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  #child: ChildProcess | undefined;
  #log = "";

  constructor(flags: readonly string[], through: readonly string[], image: boolean) {
    this.#flags = flags;
    this.#through = through;
    this.#image = image;
  }

  setFlags(flags: readonly string[]): void {
    this.#flags = flags;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  log(): string {
    return this.#log;
  }

  async begin(): Promise<void> {
    mkdirSync(this.folder, { mode: 0o700 });
    try {
      await this.start();
      if (!this.#image) return;
      await makeBusyboxArchive(this.archive);
      await this.call("POST", "/images/load", createReadStream(this.archive));
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async start(): Promise<void> {
    const places = ["--data-root", this.dataRoot, "--exec-root", this.execRoot, "--pidfile", join(this.folder, "pid")];
    const words = [...this.#through, join(ROOT, "bin", "gantryd"), "-H", this.host, ...places, ...this.#flags];
    const child = spawn(words[0] as string, words.slice(1), {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env.PATH },
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#log = (this.#log + chunk).slice(-20_000);
    });
    this.#child = child;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.call("GET", "/_ping");
        return;
      } catch (error) {
        if (child.exitCode !== null || attempt > 3000)
          throw new Error(`gantryd did not come up:\n${this.#log}`, { cause: error });
        await sleep(20);
      }
    }
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      await ended;
    }
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true, maxSockets: 256 });
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.open(method, path, body);
    const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
    if ((response.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    const json = response.headers["content-type"]?.startsWith("application/json") && !text.trim().includes("\n");
    return (json && text !== "" ? JSON.parse(text) : text) as T;
  }

  open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const streamed = body instanceof Object && "pipe" in body;
      const text = body === undefined || streamed ? "" : JSON.stringify(body);
      const headers = streamed
        ? { "Content-Type": "application/x-tar" }
        : {
            ...(text === "" ? {} : { "Content-Type": "application/json" }),
            "Content-Length": Buffer.byteLength(text),
          };
      const options = { socketPath: this.#socketPath, agent: this.#agent, method, path: `/v1.51${path}`, headers };
      const sent = request(options, resolve).on("error", reject);
      if (streamed) (body as NodeJS.ReadableStream).pipe(sent);
      else sent.end(text);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#child?.exitCode === null) {
        const all = await this.call<{ Id: string }[]>("GET", "/containers/json?all=1");
        await Promise.allSettled(all.map(({ Id }) => this.call("DELETE", `/containers/${Id}?force=1&v=1`)));
      }
    } finally {
      await this.kill("SIGTERM");
      this.#takeAway();
    }
  }

  /** What a daemon that failed, or was killed and not started again, leaves. */
  #takeAway(): void {
    for (const pid of processesOf(this.folder)) spawnSync("kill", ["-9", String(pid)]);
    unmountBelow(this.folder);
    removeNetworks(this.dataRoot);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The links and rules of an engine that could not take them away itself. */
function removeNetworks(dataRoot: string): void {
  const { alias, linkPrefix, table } = makeNames(dataRoot);
  const links: { ifname: string; ifalias?: string }[] = JSON.parse(
    spawnSync("ip", ["-j", "link"], { encoding: "utf8" }).stdout || "[]",
  );
  for (const { ifname, ifalias } of links)
    if (ifalias === alias || ifname.startsWith(linkPrefix)) spawnSync("ip", ["link", "del", ifname]);
  spawnSync("nft", ["delete", "table", "inet", table]);
}

/** Pids whose command line names the folder: monitors and runtimes. */
export function processesOf(folder: string): number[] {
  const own = String(process.pid);
  return spawnSync("ls", ["/proc"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((name) => /^\d+$/.test(name) && name !== own)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        return words.includes("gantry-monitor") && words.includes(folder);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Proportional memory of a process in KiB; 0 when it is gone. */
export function proportionalMemory(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
