/** A byte stream to a daemon through ssh. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Endpoint } from "./host.ts";

/** Characters of ssh's complaints that are kept. */
const COMPLAINT = 4096;

/**
 * The far side runs `docker system dial-stdio` (gantry's, or whatever answers to that name there). The stream is there before the connection is;
 * when ssh fails it is destroyed with "unavailable" and ssh's own words.
 */
export function dialSsh({ destination, port, socket }: Endpoint & { kind: "ssh" }): Duplex {
  const remote = socket === undefined ? "" : `--host 'unix://${socket.replaceAll("'", `'\\''`)}' `;
  const command = `if command -v gantry >/dev/null 2>&1; then exec gantry ${remote}system dial-stdio; else exec docker ${remote}system dial-stdio; fi`;
  const where = [...(port === undefined ? [] : ["-p", String(port)]), "--", destination];
  return new SshStream(spawn("ssh", ["-o", "ConnectTimeout=30", "-T", ...where, command]));
}

class SshStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  #complaint = "";

  constructor(child: ChildProcessWithoutNullStreams) {
    super({ allowHalfOpen: true });
    this.#child = child;
    child.stdout.on("data", (bytes: Buffer) => {
      if (!this.push(bytes)) child.stdout.pause();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT);
    });
    // How ssh ended says more than its broken pipe.
    child.stdin.on("error", () => {});
    child.once("error", (error) => this.destroy(notStarted(error)));
    child.once("close", (code) => this.#ended(code));
  }

  #ended(code: number | null): void {
    if (code === 0) this.push(null);
    else
      this.destroy(
        new EngineError("unavailable", `ssh ended with exit code ${code}: ${this.#complaint.trim()}`, {
          hint: "The other machine must let this user in, and have gantry or docker.",
        }),
      );
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#child.stdin.write(bytes, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill();
    done(error);
  }
}

function notStarted(error: Error): EngineError {
  const why = errnoOf(error) === "ENOENT" ? "there is no ssh on this machine's PATH" : errorMessage(error);
  return new EngineError("unavailable", `cannot run ssh: ${why}`, { cause: error });
}
