/** A shell script on a terminal of its own, typed at and read from: `script` of util-linux keeps the other end. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";

export function noTerminal(): string | false {
  return spawnSync("script", ["--version"]).status === 0 ? false : "no script(1) on this machine";
}

/** Milliseconds; far more than anything here takes. */
const PATIENCE = 60_000;

export class Terminal implements AsyncDisposable {
  /** Everything that was shown so far. */
  shown = "";
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #changed: () => void = () => {};

  constructor(script: string, env: Readonly<Record<string, string>>) {
    this.#child = spawn("script", ["--quiet", "--return", "--command", script, "/dev/null"], {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin?.on("error", () => {});
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.shown += chunk.toString();
      this.#changed();
    });
    this.#ended = new Promise((resolve) =>
      this.#child.once("close", (code) => {
        this.#changed();
        resolve(code ?? -1);
      }),
    );
  }

  /** Fails with what was shown when the script ends before the pattern comes, or a minute passes. */
  async see(pattern: RegExp): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed();
    }, PATIENCE);
    try {
      while (!pattern.test(this.shown)) {
        if (late || this.#child.exitCode !== null || this.#child.signalCode !== null)
          throw new Error(`${pattern} never came; shown: ${JSON.stringify(this.shown)}`);
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** The script's exit code. */
  ended(): Promise<number> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
