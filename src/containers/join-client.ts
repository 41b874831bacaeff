/** Joins a client's connection with a task's stream. */
import type { Duplex } from "node:stream";
import { Transform } from "node:stream";
import type { AttachStream } from "../runtime/runtime.ts";
import { DetachScanner } from "./detach-keys.ts";

export interface JoinOptions {
  readonly stdin: boolean;
  /** Looked for in what a terminal's client sends; empty: not at all. */
  readonly detachKeys: readonly number[];
}

/** Resolves when the output has ended or the client is gone: true when the client asked to be detached. */
export function joinClient(stream: AttachStream, client: Duplex, { stdin, detachKeys }: JoinOptions): Promise<boolean> {
  return new Promise((resolve) => {
    let over = false;
    const finish = (detached: boolean) => {
      if (over) return;
      over = true;
      stream.close();
      resolve(detached);
    };
    client.on("error", () => finish(false));
    client.on("close", () => finish(false));
    stream.output.on("error", () => finish(false));
    stream.output.on("close", () => finish(false));
    stream.output.on("end", () => finish(false));
    stream.input.on("error", () => {});
    stream.output.pipe(client, { end: false });
    if (stdin) client.pipe(detachFilter(detachKeys, () => finish(true))).pipe(stream.input);
    // Nobody wants its bytes, but its end must be heard.
    else client.resume();
  });
}

function detachFilter(keys: readonly number[], onDetach: () => void): Transform {
  const scanner = new DetachScanner(keys);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const { pass, detach } = scanner.feed(chunk);
      if (pass.length > 0) this.push(pass);
      if (detach) onDetach();
      done();
    },
  });
}
