/** Carries bytes between this process's streams and a hijacked connection until the output ends. */
import type { Duplex } from "node:stream";
import { demultiplex } from "../../client/frames.ts";
import type { Hijacked } from "../../client/transport.ts";
import type { Context } from "../context.ts";
import { DetachWatch } from "./detach-keys.ts";
import { rawTerminal } from "./terminal.ts";

export interface Session {
  readonly hijacked: Hijacked;
  /** The container has a terminal: one stream, no frames. */
  readonly tty: boolean;
  /** Send standard input. */
  readonly stdin: boolean;
  readonly detachKeys: string;
}

/** Resolves when the output has ended; true: the user typed the detach keys. The terminal is as before then. */
export async function carry(context: Context, session: Session): Promise<boolean> {
  const { hijacked, tty, stdin } = session;
  const watch = new DetachWatch(session.detachKeys);
  const restore = tty && stdin ? rawTerminal() : () => {};
  const stop = stdin ? sendInput(hijacked.stream, watch) : () => {};
  if (!stdin) hijacked.stream.end();
  try {
    await receive(context, hijacked, tty);
  } finally {
    stop();
    restore();
    hijacked.stream.destroy();
  }
  return tty && stdin && watch.detached;
}

async function receive(context: Context, { stream, framed }: Hijacked, tty: boolean): Promise<void> {
  const source = stream as AsyncIterable<Buffer>;
  if (framed ?? !tty)
    await demultiplex(source, {
      write: (name, bytes) => (name === "stdout" ? context.out : context.err).write(bytes),
    });
  else for await (const bytes of source) context.out.write(bytes);
}

/** The input's end closes our half of the connection. Returns the way to stop. */
function sendInput(stream: Duplex, watch: DetachWatch): () => void {
  const input = process.stdin;
  const onData = (bytes: Buffer) => {
    watch.saw(bytes);
    if (stream.destroyed || stream.writableEnded) return;
    if (!stream.write(bytes)) {
      input.pause();
      stream.once("drain", () => input.resume());
    }
  };
  const onEnd = () => stream.end();
  input.on("data", onData);
  input.once("end", onEnd);
  input.once("error", onEnd);
  return () => {
    input.off("data", onData);
    input.off("end", onEnd);
    input.pause();
  };
}
