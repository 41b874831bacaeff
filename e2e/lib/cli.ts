/** The two CLIs that must do the same: the real docker CLI, where the machine has one, and gantry. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface Result {
  readonly code: number;
  /** Without the newlines at the end. */
  readonly out: string;
  readonly err: string;
}

export type CliName = "docker" | "gantry";

const FILES: Readonly<Record<CliName, string>> = {
  docker: "docker",
  gantry: join(import.meta.dirname, "..", "..", "bin", "gantry"),
};

/** Why this CLI can't be tried here, or false. CI must have both. */
export function missing(name: CliName): string | false {
  if (name === "gantry" || process.env.CI === "true") return false;
  return spawnSync("docker", ["--version"]).status === 0 ? false : "no docker CLI on this machine";
}

export class Cli {
  readonly name: CliName;
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #daemon: TestDaemon;

  constructor(name: CliName, daemon: TestDaemon, env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.file = FILES[name];
    this.#daemon = daemon;
    const { PATH = "" } = process.env;
    this.env = {
      PATH,
      HOME: daemon.folder,
      DOCKER_HOST: daemon.host,
      DOCKER_CLI_HINTS: "false",
      TERM: "xterm",
      ...env,
    };
  }

  /** The same with further variables of the environment. */
  with(env: Readonly<Record<string, string>>): Cli {
    return new Cli(this.name, this.#daemon, { ...this.env, ...env });
  }

  /** Runs to its end with an empty standard input. */
  run(...args: string[]): Promise<Result> {
    return this.feed("", ...args);
  }

  /** The same with this standard input. */
  feed(input: string | Buffer, ...args: string[]): Promise<Result> {
    const child = this.spawn(args);
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    return collect(child);
  }

  /** Fails unless the exit code is 0; the standard output. */
  async ok(...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(...args);
    if (code !== 0) throw new Error(`${this.name} ${args.join(" ")} ended with ${code}: ${err || out}`);
    return out;
  }

  /** The caller ends its standard input. */
  spawn(args: readonly string[]): ChildProcess {
    return spawn(this.file, args, { env: this.env, stdio: ["pipe", "pipe", "pipe"] });
  }
}

export function collect(child: ChildProcess): Promise<Result> {
  return new Promise((resolve, reject) => {
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", reject);
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString().replace(/\n+$/, "");
    child.on("close", (code) => resolve({ code: code ?? -1, out: text(out), err: text(err) }));
  });
}
