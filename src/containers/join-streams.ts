import type { Duplex } from "node:stream";
import type { AttachStream } from "../runtime/runtime.ts";
import { DetachScanner } from "./detach-keys.ts";

export interface JoinOptions {
  readonly client: Duplex;
  readonly stream: AttachStream;
  readonly stdin: boolean;
  /** Looked for in what the client sends; empty: none. */
  readonly detachKeys: readonly number[];
}

/**
 * Carries bytes both ways until the process's output has ended ("ended"), the detach keys came ("detached"), or the client went
 * away ("gone"). The client's half-close ends standard input. The process feels none of it but the end of its input; neither side is
 * read faster than the other takes it.
 */
export async function joinStreams(options: JoinOptions): Promise<"ended" | "detached" | "gone"> {
  const { client, stream } = options;
  const { promise: stopped, resolve: stop } = Promise.withResolvers<"detached" | "gone">();
  const away = () => stop("gone");
  client.once("close", away);
  client.once("error", away);
  const release = options.stdin ? carryInput(options, () => stop("detached")) : discardInput(client);
  try {
    return await Promise.race([carryOutput(options), stopped]);
  } finally {
    release();
    client.removeListener("close", away);
    stream.close();
  }
}

async function carryOutput({ client, stream }: JoinOptions): Promise<"ended" | "gone"> {
  try {
    for await (const chunk of stream.output as AsyncIterable<Buffer>) {
      if (client.destroyed || client.writableEnded) return "gone";
      if (!client.write(chunk)) await drained(client);
    }
  } catch {
    // The connection to the monitor was closed, by us or by its end.
  }
  return "ended";
}

function drained(client: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error"]) client.removeListener(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) client.once(event, done);
  });
}

/** Returns what takes the listeners away again. */
function carryInput({ client, stream, detachKeys }: JoinOptions, detach: () => void): () => void {
  const { input } = stream;
  const scanner = new DetachScanner(detachKeys);
  const onData = (chunk: Buffer) => {
    const { pass, detach: wished } = scanner.feed(chunk);
    if (pass.length > 0 && input.writable && !input.write(pass)) client.pause();
    if (wished) detach();
  };
  const onDrain = () => client.resume();
  const onEnd = () => {
    if (input.writable) input.end();
  };
  const ignore = () => {};
  client.on("data", onData);
  client.on("end", onEnd);
  input.on("drain", onDrain);
  input.on("error", ignore);
  client.resume();
  if (client.readableEnded) onEnd();
  return () => {
    client.removeListener("data", onData);
    client.removeListener("end", onEnd);
    input.removeListener("drain", onDrain);
    client.pause();
  };
}

/** Read all the same, so that the client's end is seen. */
function discardInput(client: Duplex): () => void {
  const ignore = () => {};
  client.on("data", ignore);
  client.resume();
  return () => {
    client.removeListener("data", ignore);
    client.pause();
  };
}
