/** Builds: the classic API, the cache, and the way of our own client. */
import type { IncomingMessage } from "node:http";
import type { Builder } from "../../builder/builder.ts";
import type { OwnedContext } from "../../builder/context/contexts.ts";
import { readDockerfile } from "../../builder/context/dockerfile-file.ts";
import { unusedArgs } from "../../builder/dockerfile/unused-args.ts";
import { familiarName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import { hasBody, imageLine, plainBuildOf, traceLine } from "../build/buildkit-query.ts";
import { ClassicOutput, classicError, withLines } from "../build/classic-output.ts";
import { type BuildQuery, buildQuery, registryConfig, requestOf } from "../build/classic-query.ts";
import { buildSession } from "../build/session.ts";
import { ACCEPTED } from "../filters.ts";
import { filters, flag, integer } from "../query.ts";
import { type Call, json, type Reply, type Route, route, type WriteLine } from "../route.ts";
import { buildkitOf } from "./buildkit.ts";

const pruneQuery = {
  all: flag,
  "keep-storage": integer,
  "reserved-space": integer,
  "max-used-space": integer,
  "min-free-space": integer,
  filters: filters(ACCEPTED.pruneBuildCache),
};

export const buildRoutes: readonly Route[] = [
  route("POST", "/build", { query: buildQuery, handle: classicBuild }),
  route("POST", "/gantry/build", { takesOver: "tcp", handle: privateBuild }),
  route("POST", "/build/prune", { since: 31, query: pruneQuery, handle: prune }),
];

type BuildCall = Call<"/build", typeof buildQuery>;

/** The context is read before the first line of the answer, so that what is wrong with it or with the Dockerfile is a status. */
async function classicBuild(call: BuildCall): Promise<Reply> {
  if (call.query.version === "2") return await buildkitBuild(call);
  const { engine, query, request, signal } = call;
  const options = requestOf(query);
  const credentials = credentialsOf(request);
  const context = await contextOf(call);
  try {
    const dockerfile = dockerfileOf(context, query.dockerfile);
    const { text, name, ignore } = dockerfile;
    const tree = { ...context.tree, ignore };
    return {
      kind: "progress",
      run: async (write) => {
        await using _ = context;
        const run = (onProgress: ClassicOutput["event"]) =>
          engine.builder.build(
            { ...options, credentials, dockerfile: { text, name }, context: tree },
            { signal, onProgress },
          );
        await (query.q ? quietly(run, write, query) : verbosely(run, write, { ...query, text }));
      },
    };
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}

/** The same query for BuildKit's frontend, as clients without Buildx ask it. */
async function buildkitBuild({ engine, query, request, signal }: BuildCall): Promise<Reply> {
  const buildkit = await buildkitOf(engine);
  const asked = { ...plainBuildOf(query), credentials: credentialsOf(request) };
  return {
    kind: "progress",
    run: async (write) => {
      const onStatus = (status: Buffer) => write(traceLine(status));
      write(
        imageLine(await buildkit.build({ ...asked, body: hasBody(query) ? request : undefined }, { signal, onStatus })),
      );
    },
  };
}

/** Our own client's way: see docs/build-protocol.md. */
function privateBuild({ engine, request }: Call<"/gantry/build">): Reply {
  const prepared = buildSession({ engine, credentials: credentialsOf(request) });
  return { kind: "hijack", prepared };
}

function credentialsOf({ headers }: IncomingMessage) {
  const header = headers["x-registry-config"];
  return registryConfig(Array.isArray(header) ? header[0] : header);
}

function contextOf({ engine, query, request, signal }: BuildCall): Promise<OwnedContext> {
  const { remote } = query;
  if (remote === undefined) return engine.buildContexts.receive(request, { signal });
  return engine.buildContexts.fetch(remote, { signal });
}

function dockerfileOf({ tree, dockerfile }: OwnedContext, name: string | undefined) {
  return dockerfile === undefined
    ? readDockerfile(tree.root, name)
    : { text: dockerfile, name: "Dockerfile", ignore: [] as readonly string[] };
}

type Run = (onProgress: ClassicOutput["event"]) => ReturnType<Builder["build"]>;

async function verbosely(
  run: Run,
  write: WriteLine,
  { rm, t, text, buildargs = {} }: BuildQuery & { readonly text: string },
): Promise<void> {
  const output = new ClassicOutput({ write, rm });
  let lines = 0;
  try {
    const { images } = await run((event) => {
      lines++;
      output.event(event);
    });
    output.finish(images[0]?.id, {
      tags: t.filter((tag) => tag !== "").map(shownTag),
      unused: unusedArgs(text, Object.keys(buildargs)),
    });
  } catch (error) {
    // Before anything was drawn the error is the answer's status.
    if (lines === 0) throw withLines(error);
    output.fail();
    write(classicError(error));
  }
}

/** Only the id; what would have been drawn comes when it fails. */
async function quietly(run: Run, write: WriteLine, query: BuildQuery): Promise<void> {
  const held: object[] = [];
  const keep: WriteLine = (line) => {
    if (held.push(line) > MAX_HELD_LINES) held.shift();
  };
  const output = new ClassicOutput({ write: keep, rm: query.rm });
  try {
    const { images } = await run((event) => output.event(event));
    write({ stream: `${images[0]?.id ?? ""}\n` });
  } catch (error) {
    output.fail();
    if (held.length === 0) throw withLines(error);
    for (const line of held) write(line);
    write(classicError(error));
  }
}

/** Of a quiet build's output. */
const MAX_HELD_LINES = 20_000;

const shownTag = (tag: string): string => familiarName(withDefaultTag(parseReference(tag)));

const limited = (name: string, bytes: number | undefined) => (bytes ? { [name]: bytes } : {});

async function prune({ engine, query }: Call<"/build/prune", typeof pruneQuery>): Promise<Reply> {
  const {
    all,
    "keep-storage": keep,
    "reserved-space": reserved,
    "max-used-space": most,
    "min-free-space": free,
  } = query;
  const { deleted, reclaimed } = await engine.builder.prune({
    all,
    ...limited("keepStorage", reserved || keep),
    ...limited("maxUsedSpace", most),
    ...limited("minFreeSpace", free),
    filters: query.filters,
  });
  engine.events.publish({ type: "builder", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return json({ CachesDeleted: deleted, SpaceReclaimed: reclaimed });
}
