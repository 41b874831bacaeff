/** What this side answers when the daemon asks, while a build runs. */
import type { Duplex } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { EngineError } from "../../base/errors.ts";
import { bytesOf } from "../../base/mux.ts";
import type { BuildAnswers } from "../../client/builds.ts";
import type { Output } from "../output.ts";
import { type ClientOutput, writeProduct } from "./outputs.ts";
import type { NamedSource } from "./request.ts";
import { type Agents, joinAgent, type Secrets } from "./secrets.ts";
import { sendFiles } from "./send-files.ts";
import type { Source } from "./source.ts";
import { type Listing, listFolder } from "./walk.ts";

export interface Answering {
  /** By name; "" is the main one. */
  readonly sources: ReadonlyMap<string, NamedSource>;
  readonly secrets: Secrets;
  readonly agents: Agents;
  readonly outputs: readonly ClientOutput[];
  readonly out: Output;
  /** Look at folders while the daemon is still being asked. */
  readonly listsAhead: boolean;
}

/** Chunks of a listing that are made before anyone asks for them. */
const AHEAD = 16;

export function answersOf({ sources, secrets, agents, outputs, out, listsAhead }: Answering): BuildAnswers {
  const listings = new Map<string, { readonly folder: string; readonly listing: Listing }>();
  const begun = new Map<string, AsyncGenerator<string>>();
  const begin = (context: string) => {
    const { folder, ignore } = folderOf(sources, context);
    const listing = listFolder(folder, ignore);
    listings.set(context, { folder, listing });
    return listing.chunks();
  };
  for (const [context, { source }] of sources)
    if (listsAhead && source !== undefined && "folder" in source) begun.set(context, ahead(begin(context), AHEAD));
  return {
    listing: async ({ context }, channel) => {
      const chunks = begun.get(context) ?? begin(context);
      begun.delete(context);
      await pipeline(chunks, channel);
    },
    files: async ({ context }, channel) => {
      const known = listings.get(context);
      if (known === undefined) throw new EngineError("invalid", `the folder ${context} was not listed`);
      const numbers = JSON.parse(await readAll(channel)) as readonly number[];
      const files = numbers.flatMap((number) => known.listing.file(number) ?? []);
      await sendFiles(known.folder, files, channel);
    },
    tar: async ({ context }, channel) => {
      await pipeline(await archiveOf(sources, context), channel);
    },
    secret: ({ id }, channel) => {
      const read = secrets.get(id);
      if (read === undefined) throw new EngineError("not-found", `secret ${id}: not found`);
      channel.end(read());
      return Promise.resolve();
    },
    ssh: async ({ id }, channel) => {
      const socket = agents.get(id);
      if (socket === undefined) throw new EngineError("not-found", `ssh agent ${id}: not given`);
      await joinAgent(socket, channel);
    },
    export: async ({ index }, channel) => {
      const output = outputs[index];
      if (output === undefined) throw new EngineError("invalid", `there is no output ${index}`);
      await writeProduct(output, bytesOf(channel), out);
      channel.end();
      await finished(channel).catch(() => {});
    },
  };
}

/** The same values; up to `most` are asked for before anyone wants them. What fails then is thrown when its turn comes. */
async function* drained<T>(source: AsyncGenerator<T>, waiting: Promise<IteratorResult<T>>[]): AsyncGenerator<T> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { done, value } = await next;
    if (done) return;
    waiting.push(asked(source));
    yield value;
  }
}

function ahead<T>(source: AsyncGenerator<T>, most: number): AsyncGenerator<T> {
  return drained(
    source,
    Array.from({ length: most }, () => asked(source)),
  );
}

function asked<T>(source: AsyncGenerator<T>): Promise<IteratorResult<T>> {
  const next = source.next();
  next.catch(() => {});
  return next;
}

function folderOf(sources: Answering["sources"], context: string): Extract<Source, { folder: string }> {
  const source = sources.get(context)?.source;
  if (source !== undefined && "folder" in source) return source;
  throw new EngineError("invalid", `the daemon asked for a folder ${JSON.stringify(context)}, which was not given`);
}

async function archiveOf(sources: Answering["sources"], context: string): Promise<AsyncIterable<Uint8Array>> {
  const { source, layout } = sources.get(context) ?? {};
  if (layout !== undefined) return (await import("./layout.ts")).layoutArchive(layout.folder, layout.reference);
  if (source !== undefined && "archive" in source) return source.archive;
  throw new EngineError("invalid", `the daemon asked for an archive ${JSON.stringify(context)}, which was not given`);
}

async function readAll(channel: Duplex): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bytesOf(channel))).toString("utf8");
}
