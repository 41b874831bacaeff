/** Brings a request's contexts onto this machine. */
import { EngineError } from "../../base/errors.ts";
import type { BuildRequest, NamedContext } from "../../builder/builder.ts";
import type { Contexts, DockerfileText, OwnedContext } from "../../builder/context/contexts.ts";
import { readDockerfile } from "../../builder/context/dockerfile-file.ts";
import type { Images } from "../../images/images.ts";
import type { WireBuild, WireContext, WireNamedContext } from "../types/build.ts";
import type { Asked } from "./asked.ts";

export interface Gathering {
  readonly wire: WireBuild;
  readonly asked: Asked;
  readonly contexts: Contexts;
  readonly images: Images;
  readonly signal: AbortSignal;
  /** How far a folder's files are. */
  readonly onTransfer: (context: string, bytes: number, total: number) => void;
  /** Frees what is gathered. */
  readonly stack: AsyncDisposableStack;
}

export type Gathered = Pick<BuildRequest, "dockerfile" | "context" | "contexts">;

/** Post-condition: every context is here, and freed with the stack. The main one is asked for first: it holds most mistakes. */
export async function gather(gathering: Gathering): Promise<Gathered> {
  const { wire } = gathering;
  const { ignored } = wire.dockerfile;
  const main = wire.context === undefined ? undefined : await bring(gathering, "", wire.context);
  const dockerfile = dockerfileOf(wire, main);
  const named = await Promise.all(
    Object.entries(wire.contexts ?? {}).map(
      async ([name, context]) => [name, await bringNamed(gathering, name, context)] as const,
    ),
  );
  return {
    dockerfile: { text: dockerfile.text, name: dockerfile.name, ...(ignored !== undefined && { ignored }) },
    context: main === undefined ? undefined : { ...main.tree, ignore: dockerfile.ignore },
    contexts: Object.fromEntries(named),
  };
}

/** A client that sends a folder has applied its ignore file, and sends the Dockerfile's text. */
function dockerfileOf({ dockerfile: { text, name } }: WireBuild, main: OwnedContext | undefined): DockerfileText {
  if (text !== undefined) return { text, name: name ?? "Dockerfile", ignore: [] };
  if (main?.dockerfile !== undefined) return { text: main.dockerfile, name: "Dockerfile", ignore: [] };
  if (main === undefined) throw new EngineError("invalid", "the build has neither a Dockerfile nor a context");
  return readDockerfile(main.tree.root, name || undefined);
}

async function bringNamed(gathering: Gathering, name: string, context: WireNamedContext): Promise<NamedContext> {
  if (context.kind === "image") return { kind: "image", name: context.name };
  if (context.kind === "layout") return { kind: "image", name: await loadLayout(gathering, name) };
  return { kind: "tree", tree: (await bring(gathering, name, context)).tree };
}

async function bring(gathering: Gathering, name: string, context: WireContext): Promise<OwnedContext> {
  const { asked, contexts, signal, stack, wire } = gathering;
  switch (context.kind) {
    case "tar":
      return stack.use(await contexts.receive(asked.tar(name), { signal }));
    case "remote": {
      const agent = wire.ssh?.includes("default") ? asked.ssh("default") : undefined;
      const keepGitDir = wire.buildArgs?.BUILDKIT_CONTEXT_KEEP_GIT_DIR === "1";
      return stack.use(await contexts.fetch(context.url, { signal, agent, keepGitDir }));
    }
    case "folder":
      return stack.use(
        await contexts.sync({
          name: context.key,
          description: context.description,
          lines: asked.listing(name),
          contents: (numbers) => asked.files(name, numbers),
          onProgress: (bytes, total) => gathering.onTransfer(name, bytes, total),
          signal,
        }),
      );
  }
}

/** The image of an OCI layout: stored without a name while the build runs. */
async function loadLayout({ asked, images, signal, stack }: Gathering, name: string): Promise<string> {
  let id: string | undefined;
  await images.load(asked.tar(name), {
    signal,
    onProgress: ({ stream = "" }) => {
      id ??= /^Loaded image(?: ID)?: (\S+)/.exec(stream)?.[1];
    },
  });
  if (id === undefined) throw new EngineError("invalid", `the OCI layout of the context ${name} has no image`);
  const loaded = id;
  stack.defer(async () => {
    await images.remove(loaded, { force: false, prune: false }).catch(() => {});
  });
  return loaded;
}
