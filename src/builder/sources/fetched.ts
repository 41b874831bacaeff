import { rm } from "node:fs/promises";
import { newId } from "../../base/ids.ts";
import type { Op, OpContext } from "../graph/graph.ts";
import type { Toolkit } from "../toolkit.ts";
import type { FolderTree, Made, Tree } from "../tree.ts";

/** Folders that a build fetched; gone when it has ended, and at the engine's next start. */
export class FetchedFolders implements AsyncDisposable {
  readonly #tools: Toolkit;
  readonly #folders: string[] = [];

  constructor(tools: Toolkit) {
    this.#tools = tools;
  }

  /** A path that does not exist yet. */
  make(): string {
    const folder = this.#tools.store.paths.fetched(newId().slice(0, 16));
    this.#folders.push(folder);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

/** Something from afar, brought to a folder of its own. Never kept: it is looked at anew in each build. */
export class FetchOp implements Op<Tree, Made> {
  readonly #fetch: (context: OpContext) => Promise<{ readonly root: string; readonly name: string }>;

  constructor(fetch: (context: OpContext) => Promise<{ readonly root: string; readonly name: string }>) {
    this.#fetch = fetch;
  }

  async key(): Promise<undefined> {
    return undefined;
  }

  async run(_inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const { root, name } = await this.#fetch(context);
    const tree: FolderTree = { kind: "folder", source: { root, name, ignore: [], foreign: true, hashes: undefined } };
    return { createdAt: "", size: 0, tree };
  }

  result(_inputs: readonly Tree[], { tree }: Made): Tree {
    if (tree === undefined) throw new Error("nothing was fetched");
    return tree;
  }
}
