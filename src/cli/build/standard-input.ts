/** What comes on standard input: an archive, or a Dockerfile. */
import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import { ARCHIVE_HEAD_BYTES, isArchive } from "../../base/tar/recognise.ts";
import { MAX_DOCKERFILE, type MainSource } from "./source.ts";

/** An archive is the context; anything else is a Dockerfile without one. */
export async function fromStandardInput(file: string, stdin: Readable): Promise<MainSource> {
  if ((stdin as Partial<{ isTTY: boolean }>).isTTY && file !== "-")
    throw new EngineError("invalid", "the Dockerfile or an archive is expected on standard input, which is a terminal");
  const iterator = stdin.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  let head: Buffer = Buffer.alloc(0);
  while (head.length < ARCHIVE_HEAD_BYTES) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield head;
    for (let item = await iterator.next(); item.done !== true; item = await iterator.next()) yield item.value;
  }
  if (isArchive(head)) {
    if (file === "-")
      throw new EngineError("invalid", "invalid argument: can't use stdin for both build context and dockerfile");
    return { dockerfile: { name: file || undefined }, source: { wire: { kind: "tar" }, archive: all() } };
  }
  if (file !== "" && file !== "-")
    throw new EngineError("invalid", "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const text = await collectText(all());
  if (text.trim() === "") throw new EngineError("invalid", "the Dockerfile (-) cannot be empty");
  return { dockerfile: { text, name: "-" }, source: undefined };
}

export async function collectText(source: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of source) {
    length += part.length;
    if (length > MAX_DOCKERFILE)
      throw new EngineError("too-large", `the Dockerfile has more than ${MAX_DOCKERFILE} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
