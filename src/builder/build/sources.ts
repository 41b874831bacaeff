import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { timestamp } from "../../base/time.ts";
import { withoutPassword } from "../../base/urls.ts";
import { HOST_PLATFORM } from "../../oci/platform.ts";
import { parseReference, withDefaultTag } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import type { ContextTree } from "../builder.ts";
import type { Range } from "../dockerfile/language.ts";
import type { GitSource, Source, Stage, TransferStep } from "../dockerfile/plan.ts";
import { lookUp } from "../given.ts";
import type { Op, OpContext } from "../graph/graph.ts";
import { FetchOp } from "../sources/fetched.ts";
import { checkOutGit } from "../sources/git.ts";
import { downloadFile, fileNameOf } from "../sources/url.ts";
import { type FolderTree, type LayeredTree, type Made, SCRATCH, type Tree } from "../tree.ts";
import type { BaseImage, ImageWish } from "./base-images.ts";
import { imageIdOf, type Portrait } from "./image.ts";
import type { StageCompiler, TreeVertex } from "./stages.ts";

/** Where files come from: contexts, images, other stages. Each is one vertex, whoever asks for it. */
export class Sources {
  readonly #compiler: StageCompiler;
  readonly #vertices = new Map<string, TreeVertex>();
  readonly #images = new WeakMap<TreeVertex, () => BaseImage | undefined>();

  constructor(compiler: StageCompiler) {
    this.#compiler = compiler;
  }

  /** For COPY --from and mounts; undefined: the build's context. */
  vertex(source: Source | undefined, stage: Stage, askedBy: Range): TreeVertex | Promise<TreeVertex> {
    if (source === undefined) return this.#context(undefined);
    if (source.kind === "stage") return this.#compiler.stage(source.index).then(({ last }) => last);
    if (source.kind === "context") return this.#context(source.name);
    if (source.kind === "scratch") return this.scratch();
    const { reference, platform, name } = source;
    const wish = { reference, platform, strict: this.#isStrict(stage, platform) };
    const key = `image ${name} ${JSON.stringify(platform)}`;
    return this.#once(key, `FROM ${name}`, () => this.#imageOp(wish), { askedBy });
  }

  /** ADD URL; the file's name in the folder that it gives. */
  url(url: string, { destination, checksum, range }: TransferStep): { vertex: TreeVertex; name: string } {
    const name = fileNameOf(url) ?? (destination.endsWith("/") ? undefined : "download");
    if (name === undefined)
      throw new EngineError("invalid", `cannot determine filename from url: ${withoutPassword(url)}`);
    const { tools, fetched } = this.#compiler;
    const op = () =>
      new FetchOp(async (context) => {
        const folder = fetched.make();
        await downloadFile(tools.remote, { url, folder, name, checksum }, context);
        return { root: folder, name: withoutPassword(url) };
      });
    return { name, vertex: this.#once(`url ${url} ${checksum ?? ""}`, withoutPassword(url), op, { askedBy: range }) };
  }

  /** ADD from a repository: all of it. */
  git(git: GitSource, { keepGitDir = false, checksum, range }: TransferStep): TreeVertex {
    const { tools, orders, fetched } = this.#compiler;
    const op = () =>
      new FetchOp(async (context) => {
        const folder = fetched.make();
        const agent = await lookUp(orders.request.ssh, "default", context.signal);
        const socketFolder = tools.store.paths.execRoot;
        await checkOutGit({ git, folder, keepGitDir, checksum, agent, socketFolder }, context);
        return { root: folder, name: withoutPassword(git.remote) };
      });
    const key = `git ${git.remote}#${git.ref} ${keepGitDir} ${checksum ?? ""}`;
    const name = `[internal] load git source ${withoutPassword(git.remote)}${git.ref === "" ? "" : `#${git.ref}`}`;
    return this.#once(key, name, op, { askedBy: range });
  }

  scratch(): TreeVertex {
    return this.#once("scratch", "[internal] scratch", () => constant(SCRATCH), { hidden: true });
  }

  /** Whether a folder has files that are not to be seen. */
  isFiltered(source: Source | undefined): boolean {
    const { request } = this.#compiler.orders;
    if (source !== undefined && source.kind !== "context") return false;
    const given = source === undefined ? request.context : request.contexts?.[source.name];
    if (given === undefined) return false;
    const tree = "kind" in given ? (given.kind === "tree" ? given.tree : undefined) : given;
    return (tree?.ignore ?? []).length > 0;
  }

  /** What a stage's FROM does. */
  async base(stage: Stage, source: Exclude<Source, { kind: "stage" }>): Promise<{ op: Op<Tree, Made>; inputs: [] }> {
    if (source.kind === "scratch") return { op: constant(SCRATCH), inputs: [] };
    const wish = this.#wish(stage, source);
    return { op: this.#imageOp(wish), inputs: [] };
  }

  /** The image behind a FROM's vertex; undefined for scratch. */
  async baseImage(vertex: TreeVertex, source: Source): Promise<BaseImage | undefined> {
    await this.#compiler.session.solve(vertex);
    if (source.kind === "scratch") return undefined;
    return vertex.op instanceof ImageOp ? vertex.op.found : this.#images.get(vertex)?.();
  }

  /** The base image's own id, or that of the stage so far. */
  imageIdOf(op: Op<Tree, Made>, tree: LayeredTree, portrait: Portrait | undefined): string | undefined {
    if (op instanceof ImageOp) return op.found?.image.id;
    return portrait === undefined ? undefined : imageIdOf(portrait, tree);
  }

  #wish(stage: Stage, source: Exclude<Source, { kind: "stage" | "scratch" }>): ImageWish {
    if (source.kind === "image")
      return { reference: source.reference, platform: source.platform, strict: this.#isStrict(stage, source.platform) };
    const context = this.#compiler.orders.request.contexts?.[source.name];
    if (context?.kind === "image") {
      const reference = withDefaultTag(parseReference(context.name));
      return { reference, platform: stage.platform, strict: this.#isStrict(stage, stage.platform) };
    }
    throw new EngineError("invalid", `the build context ${JSON.stringify(source.name)} is no image to start from`);
  }

  /** A platform that somebody named, or another one than the machine's. */
  #isStrict(stage: Stage, platform: Platform): boolean {
    const { request } = this.#compiler.orders;
    const asked = stage.from.platform !== undefined || (request.platforms ?? []).length > 0;
    return asked || platform.architecture !== HOST_PLATFORM.architecture || platform.os !== HOST_PLATFORM.os;
  }

  #context(name: string | undefined): TreeVertex {
    const { request } = this.#compiler.orders;
    const given = name === undefined ? request.context : request.contexts?.[name];
    if (given !== undefined && "kind" in given && given.kind === "image") {
      const reference = withDefaultTag(parseReference(given.name));
      const wish = { reference, platform: this.#compiler.orders.plan.targetPlatform, strict: false };
      return this.#once(`context ${name}`, `[context ${name}] load from docker-image`, () => this.#imageOp(wish));
    }
    const tree = given !== undefined && "tree" in given ? given.tree : (given as ContextTree | undefined);
    const shown = name === undefined ? "[internal] load build context" : `[context ${name}] load from client`;
    return this.#once(`context ${name ?? ""}`, shown, () => constant(this.#folder(tree, name)));
  }

  #folder(tree: ContextTree | undefined, name: string | undefined): FolderTree {
    const { paths } = this.#compiler.tools.store;
    return {
      kind: "folder",
      source: {
        root: tree?.root ?? paths.emptyFolder,
        ignore: tree?.ignore ?? [],
        name: name === undefined ? "the build context" : `the build context ${name}`,
        foreign: tree?.owner !== "keep",
        hashes: tree?.cacheName === undefined ? undefined : paths.contextHash(tree.cacheName),
        version: versionOf(tree),
      },
    };
  }

  #imageOp(wish: ImageWish): ImageOp {
    return new ImageOp((context) => this.#compiler.bases.find(wish, context));
  }

  #once(
    key: string,
    name: string,
    op: () => Op<Tree, Made>,
    more: Pick<TreeVertex["hints"], "hidden" | "askedBy"> = {},
  ): TreeVertex {
    const known = this.#vertices.get(key);
    if (known !== undefined) return known;
    const hints = { id: this.#compiler.vertexId(["source", key]), name, ...more };
    const vertex = Object.freeze({ op: op(), inputs: [], hints });
    this.#vertices.set(key, vertex);
    return vertex;
  }
}

function versionOf(tree: ContextTree | undefined): FolderTree["source"]["version"] {
  if (tree?.cacheName === undefined || tree.version === undefined) return undefined;
  const text = digestOf(JSON.stringify([tree.version, tree.ignore ?? [], tree.owner ?? "root"]));
  return { name: tree.cacheName, text };
}

/** Something that needs no work. */
function constant(tree: Tree): Op<Tree, Made> {
  return {
    key: async () => undefined,
    run: async () => ({ createdAt: "", size: 0 }),
    result: () => tree,
  };
}

/** An image, found here or pulled. */
class ImageOp implements Op<Tree, Made> {
  found: BaseImage | undefined;
  readonly #find: (context: OpContext) => Promise<BaseImage>;

  constructor(find: (context: OpContext) => Promise<BaseImage>) {
    this.#find = find;
  }

  async key(): Promise<undefined> {
    return undefined;
  }

  async run(_inputs: readonly Tree[], context: OpContext): Promise<Made> {
    this.found = await this.#find(context);
    return { createdAt: timestamp(), size: 0, tree: this.found.tree };
  }

  result(_inputs: readonly Tree[], made: Made): Tree {
    return made.tree ?? SCRATCH;
  }
}
