/** `gantry registry serve` as a process of a test. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

export const GANTRY = join(import.meta.dirname, "..", "..", "bin", "gantry");

export interface RegistryProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** "127.0.0.1:40123". */
  readonly host: string;
  /** What it wrote to its standard error. */
  log(): string;
  /** Sends the signal (default SIGTERM) and waits; the exit code, or null when the signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Resolves when it says where it listens; rejects with what it wrote when it ends before. Without a `--listen` on a free port of this machine. */
export async function startRegistryProcess(...flags: string[]): Promise<RegistryProcess> {
  const listen = flags.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const child = spawn(GANTRY, ["registry", "serve", ...listen, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let log = "";
  const host = await new Promise<string>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk;
      const [, found] = /listens on https?:\/\/(\S+)/.exec(log) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(log)));
  });
  const end = (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    return ended;
  };
  return { child, host, log: () => log, end, [Symbol.asyncDispose]: async () => void (await end("SIGKILL")) };
}
