/** xz(1) and bzip2(1), for what zlib does not read. */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { finished } from "node:stream/promises";
import { EngineError } from "../base/errors.ts";
import { type Child, endChild, pipe, spawn } from "./spawn.ts";

export type UnpackTool = "xz" | "bzip2";

/** Memory is bounded: a window of 256 MiB is asked for by no ordinary archive. */
const ARGS: Readonly<Record<UnpackTool, readonly string[]>> = {
  xz: ["--decompress", "--stdout", "--memlimit-decompress=256MiB", "--threads=1"],
  bzip2: ["--decompress", "--stdout"],
};

/**
 * The plain bytes of what `source` gives. Leaving early ends the tool and leaves the source open. "unavailable" when the tool is not
 * installed; "invalid" with the tool's words for data that it does not read.
 */
export async function* unpackBy(tool: UnpackTool, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const { child, stdin, stdout, stderr } = start(tool);
  let ended = false;
  const exited = child.exited.finally(() => {
    ended = true;
  });
  const words = collect(stderr);
  let sourceError: unknown;
  const fed = feed(source, stdin, () => ended).catch((error: unknown) => {
    sourceError = error;
    stdin.destroy();
  });
  try {
    for await (const chunk of stdout as AsyncIterable<Buffer>) yield chunk;
    const { code } = await exited;
    if (sourceError !== undefined) throw sourceError;
    if (code !== 0) throw new EngineError("invalid", `invalid compressed data: ${(await words).trim() || tool}`);
    await fed;
  } finally {
    if (!ended) endChild(child);
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
  }
}

interface Started {
  readonly child: Child;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
}

function start(tool: UnpackTool): Started {
  const [input, output, errors] = [pipe(), pipe(), pipe()];
  try {
    const child = spawn({ file: tool, args: ARGS[tool], stdio: [input[0], output[1], errors[1]] });
    const reading = (fd: number) => new Socket({ fd, readable: true, writable: false });
    const stdin = new Socket({ fd: input[1], readable: false, writable: true });
    stdin.on("error", () => {});
    return { child, stdin, stdout: reading(output[0]), stderr: reading(errors[0]) };
  } catch (cause) {
    for (const fd of [input[1], output[0], errors[0]]) closeSync(fd);
    throw new EngineError("unavailable", `${tool} is needed to read this archive and could not be run`, {
      hint: `Install it (apt-get install ${tool === "xz" ? "xz-utils" : tool}), or use gzip or zstd.`,
      cause,
    });
  } finally {
    for (const fd of [input[0], output[1], errors[1]]) closeSync(fd);
  }
}

async function feed(source: AsyncIterable<Uint8Array>, stdin: Socket, over: () => boolean): Promise<void> {
  for await (const chunk of source) {
    if (over() || stdin.destroyed) break;
    if (stdin.write(chunk)) continue;
    await drained(stdin);
  }
  stdin.end();
  await finished(stdin).catch(() => {});
}

function drained(stdin: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stdin.off("drain", done).off("close", done);
      resolve();
    };
    stdin.once("drain", done).once("close", done);
  });
}

/** What it said until it ended or was ended. */
async function collect(stream: Socket): Promise<string> {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(0, 2000);
  });
  await finished(stream).catch(() => {});
  return text;
}
