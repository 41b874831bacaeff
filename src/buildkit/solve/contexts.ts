/** Brings a build's contexts and its Dockerfile onto this machine: from the client's folders, its input, or from afar. */
import { digestOf } from "../../base/digest.ts";
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { BuildRequest, ContextTree, NamedContext } from "../../builder/builder.ts";
import type { Contexts, DockerfileText, OwnedContext } from "../../builder/context/contexts.ts";
import { readDockerfile, readIgnore } from "../../builder/context/dockerfile-file.ts";
import type { FolderWish, Session } from "../session/session.ts";
import { type Attributes, isTrue, prefixed } from "./attributes.ts";
import { shownTransfer } from "./events.ts";
import { neededPaths } from "./needed-paths.ts";
import type { Progress } from "./progress.ts";

export interface Gathering {
  readonly attributes: Attributes;
  readonly session: Session;
  /** Another one of the client's, where it has a folder: targets of a Bake share theirs. */
  readonly sessionOf: (id: string) => Promise<Session>;
  readonly contexts: Contexts;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** In place of what the attributes name. */
  readonly given: OwnedContext | undefined;
  /** Frees what is gathered. */
  readonly stack: AsyncDisposableStack;
  /** The image behind the result of another build. */
  readonly inputImage: (name: string) => string | undefined;
  /** As NeededWish has it. */
  readonly onBuild: (image: string) => readonly string[] | undefined;
}

export interface Gathered extends Pick<BuildRequest, "context" | "contexts"> {
  readonly dockerfile: BuildRequest["dockerfile"];
  /** The vertex that showed the Dockerfile's transfer. */
  readonly definition: ReturnType<typeof digestOf>;
}

/** Vertices that are shown here, as the files come; the builder's own of these names are not. */
export const CONTEXT_VERTEX = "[internal] load build context";
export const contextVertex = (name: string): string => `[context ${name}] load from client`;
const definitionVertex = (name: string): string => `[internal] load build definition from ${name}`;
const IGNORE_VERTEX = "[internal] load .dockerignore";
export const vertexDigest = (name: string): ReturnType<typeof digestOf> => digestOf(`buildkit ${name}`);

/** Post-condition: every context is here, and freed with the stack. */
export async function gather(gathering: Gathering): Promise<Gathered> {
  const { attributes } = gathering;
  const asks = attributes.requestid !== undefined;
  const remote = remoteOf(attributes);
  const main = gathering.given ?? (remote === undefined ? undefined : await fetched(gathering, remote));
  const local = main === undefined || attributes.dockerfilekey !== undefined;
  const dockerfile = local ? await sentDockerfile(gathering) : ownDockerfile(gathering, main);
  // A question about the Dockerfile needs no other file.
  const context = asks ? undefined : (main?.tree ?? (await mainFolder(gathering, dockerfile)));
  const named = prefixed(attributes, "context:");
  const contexts: Record<string, NamedContext> = {};
  for (const [key, value] of asks ? [] : Object.entries(named)) {
    const [name = key] = key.split("::");
    contexts[name] = await namedContext(gathering, name, value);
  }
  const { text, name, ignore } = dockerfile;
  return {
    // The client left these files out already; the lines are for the warnings, or hold for what was fetched.
    dockerfile: { text, name, ...(main === undefined && { ignored: ignore }) },
    context: main === undefined || context === undefined ? context : { ...context, ignore },
    contexts,
    definition: vertexDigest(definitionVertex(name)),
  };
}

/** The main context when it is no folder of the client. */
function remoteOf({ context }: Attributes): string | undefined {
  return context === undefined || context === "" || /^local:/.test(context) ? undefined : context;
}

const UPLOAD = "http://buildkit-session/";

async function fetched(gathering: Gathering, url: string): Promise<OwnedContext> {
  const { attributes, contexts, session, signal, stack } = gathering;
  const shown = url.startsWith(UPLOAD) ? "[internal] load remote build context" : `[internal] load ${url}`;
  return await gathering.progress.shown(shown, async () => {
    if (url.startsWith(UPLOAD))
      return stack.use(await contexts.receive(session.upload(url.slice(UPLOAD.length - 1), signal), { signal }));
    const agent = await session.agent("default", signal);
    const keepGitDir = isTrue(attributes["build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR"]);
    return stack.use(await contexts.fetch(url, { signal, agent, keepGitDir }));
  });
}

function ownDockerfile({ attributes }: Gathering, main: OwnedContext | undefined): DockerfileText {
  if (main?.dockerfile !== undefined) return { text: main.dockerfile, name: "Dockerfile", ignore: [] };
  return readDockerfile(main?.tree.root ?? "", attributes.filename);
}

/** The Dockerfile and its ignore file, from the client's folder of the Dockerfile; without one of its own that of the context. */
async function sentDockerfile(gathering: Gathering): Promise<DockerfileText> {
  const { attributes } = gathering;
  const name = attributes.filename || "Dockerfile";
  const follow = [name, `${name}.dockerignore`, ...(name === "Dockerfile" ? ["dockerfile"] : [])];
  const wish = { name: attributes.dockerfilekey ?? "dockerfile", follow };
  const root = await sent(gathering, wish, definitionVertex(name), "transferring dockerfile:");
  const { text, ignore } = explained(() => readDockerfile(root.root, name), name);
  if (ignore.length > 0 || remoteOf(attributes) !== undefined) return { text, name, ignore };
  return { text, name, ignore: await ignoreOf(gathering, attributes.contextkey ?? "context", IGNORE_VERTEX) };
}

/** In BuildKit's words: clients look for them. */
function explained<T>(read: () => T, name: string): T {
  try {
    return read();
  } catch (error) {
    if (!/^Cannot locate specified Dockerfile/.test(errorMessage(error))) throw error;
    throw new EngineError("not-found", `failed to read dockerfile: open ${name}: no such file or directory`, {
      hint: "Name the Dockerfile with --file.",
      cause: error,
    });
  }
}

async function ignoreOf(gathering: Gathering, name: string, vertex: string): Promise<readonly string[]> {
  const { root } = await sent(gathering, { name, follow: [".dockerignore"] }, vertex, "transferring context:");
  return readIgnore(root, ".dockerignore");
}

async function namedContext(gathering: Gathering, name: string, value: string): Promise<NamedContext> {
  const [, scheme = "", rest = ""] = /^(docker-image:\/\/|local:|input:|oci-layout:\/\/)(.*)$/.exec(value) ?? [];
  if (scheme === "docker-image://") return { kind: "image", name: rest };
  if (scheme === "input:") {
    const image = gathering.inputImage(rest);
    if (image !== undefined) return { kind: "image", name: image };
    throw new EngineError(
      "not-implemented",
      `the build context ${name} is the result of a build that is not known here`,
      { hint: "Build both targets by one docker buildx bake." },
    );
  }
  if (scheme === "oci-layout://")
    throw new EngineError(
      "not-implemented",
      `the build context ${name} is an OCI layout, which Buildx cannot send here`,
      {
        hint: "Load it with docker load and name the image, or use gantry build --build-context.",
      },
    );
  if (scheme !== "local:") return { kind: "tree", tree: (await fetched(gathering, value)).tree };
  const ignore = await ignoreOf(gathering, rest, `[context ${name}] load .dockerignore`);
  return { kind: "tree", tree: await folder(gathering, rest, contextVertex(name), ignore) };
}

/** Undefined when no step reads it. */
async function mainFolder(gathering: Gathering, dockerfile: DockerfileText): Promise<ContextTree | undefined> {
  const { attributes, onBuild } = gathering;
  const follow = neededPaths({ attributes, dockerfile, onBuild });
  if (follow?.length === 0) return undefined;
  const wish = { name: attributes.contextkey ?? "context", excludes: dockerfile.ignore, follow };
  return await sent(gathering, wish, CONTEXT_VERTEX, "transferring context:");
}

function folder(gathering: Gathering, name: string, vertex: string, excludes: readonly string[]): Promise<ContextTree> {
  return sent(gathering, { name, excludes }, vertex, "transferring context:");
}

/** A folder of the client, kept for its next build: only what changed is sent. */
async function sent(gathering: Gathering, wish: FolderWish, vertex: string, label: string): Promise<ContextTree> {
  const { attributes, contexts, signal, stack, progress } = gathering;
  const other = attributes[`local-sessionid:${wish.name}`];
  const session = other === undefined || other === "" ? gathering.session : await gathering.sessionOf(other);
  const { id, sharedKey } = session.facts;
  const part = wish.follow === undefined ? "" : ` ${digestOf(JSON.stringify(wish.follow))}`;
  return await gathering.progress.shown(vertex, async () => {
    let bytes = 0;
    let received = 0;
    const shown = throttled((total: number) => tell(bytes + received, bytes + total, false));
    const tell = (current: number, total: number, completed: boolean) =>
      progress.tell({
        statuses: [shownTransfer({ vertex: vertexDigest(vertex), id: label, current, total, completed })],
      });
    return await session.withFolder(wish, signal, async (files) => {
      const owned = await contexts.sync({
        name: `session ${sharedKey === "" ? id : sharedKey} ${wish.name}${part}`,
        description: vertex,
        lines: counted(files.lines(), (length) => {
          bytes += length;
        }),
        contents: (numbers) => files.contents(numbers),
        onProgress: (now, total) => {
          received = now;
          shown(total);
        },
        signal,
      });
      // Before the client is told the end, which may fail: it is owned already.
      const { cacheName } = owned.tree;
      // Without a key nobody finds it again.
      if (sharedKey === "" && cacheName !== undefined)
        stack.defer(async () => {
          await contexts.remove(cacheName);
        });
      stack.use(owned);
      tell(bytes + received, 0, true);
      return owned.tree;
    });
  });
}

async function* counted(lines: AsyncIterable<string>, count: (length: number) => void): AsyncGenerator<string> {
  for await (const line of lines) {
    count(line.length);
    yield line;
  }
}

/** Milliseconds between two events of one transfer. */
const PAUSE = 100;

function throttled(tell: (total: number) => void): (total: number) => void {
  let told = 0;
  return (total) => {
    if (Date.now() - told < PAUSE) return;
    told = Date.now();
    tell(total);
  };
}
