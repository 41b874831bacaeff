import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { readUserFiles, resolveUser } from "../../runtime/users.ts";
import type { Op, OpContext } from "../graph/graph.ts";
import type { Toolkit } from "../toolkit.ts";
import { grown, type LayeredTree, layered, type Made, type Tree } from "../tree.ts";
import type { CopyItem } from "./files/copy-files.ts";
import type { Selection } from "./files/selection.ts";
import { ensureUnpacked, storeLayer, withDraft } from "./layers.ts";
import { digestOfSelection, isSmall, withSource } from "./sources.ts";

export interface CopyParameters {
  readonly items: readonly CopyParametersItem[];
  /** Absolute; ends in "/" when it must be a folder. */
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly latest: bigint | undefined;
}

export type CopyParametersItem =
  | { readonly kind: "inline"; readonly name: string; readonly content: string }
  | {
      readonly kind: "selection";
      /** Which of the step's inputs. */
      readonly input: number;
      readonly wish: SelectionWish;
      /** Files that are archives are unpacked. */
      readonly unpack: boolean;
    };

export type SelectionWish = Omit<Selection, "source">;

/** Files put into the tree of the first input: COPY and ADD. */
export class CopyOp implements Op<Tree, Made> {
  readonly #tools: Toolkit;
  readonly #parameters: CopyParameters;
  /** What `key` found, for `run`. */
  #found: Promise<readonly string[]> | undefined;

  constructor(tools: Toolkit, parameters: CopyParameters) {
    this.#tools = tools;
    this.#parameters = parameters;
  }

  async key(inputs: readonly Tree[], { signal }: OpContext): Promise<Digest> {
    const { items, destination, chown, chmod, link, latest } = this.#parameters;
    this.#found = this.#contents(inputs, signal);
    const contents = await this.#found;
    const names = items.map((item) => (item.kind === "inline" ? item.name : item.unpack));
    // With --link what is below does not matter, unless names of owners are looked up there.
    const below = link && isNumeric(chown) ? "" : (layered(inputs[0]).chainId ?? "");
    const parameters = [destination, chown ?? "", chmod ?? "", link, latest?.toString() ?? ""];
    return digestOf(JSON.stringify(["copy/1", below, parameters, contents, names]));
  }

  /** As history has them: "file:1234", "dir:1234", "multi:1234". */
  #contents(inputs: readonly Tree[], signal: AbortSignal): Promise<string[]> {
    return Promise.all(
      this.#parameters.items.map(async (item) => {
        if (item.kind === "inline") return `file:${digestOf(item.content).slice("sha256:".length)}`;
        return digestOfSelection(this.#tools, inputs[item.input], item.wish, signal);
      }),
    );
  }

  async run(inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const below = layered(inputs[0]);
    const { latest } = this.#parameters;
    await ensureUnpacked(this.#tools, below, context.signal);
    const owner = await this.#owner(below);
    return withDraft(this.#tools, below.chainId, async (draft) => {
      await using stack = new AsyncDisposableStack();
      const items: CopyItem[] = [];
      for (const item of this.#parameters.items) {
        if (item.kind === "inline") items.push({ ...item, mtime: latest ?? nanosecondsNow() });
        else {
          const { source, close } = await withSource(this.#tools, inputs[item.input], context.signal);
          stack.defer(close);
          items.push({ kind: "selection", unpack: item.unpack, selection: { ...item.wish, source } });
        }
      }
      const place = this.#tools.snapshots.workplace(draft.id);
      const { destination, chmod, link } = this.#parameters;
      const task = { kind: "copy", place, tar: draft.tar, items, destination, owner, chmod, link, latest } as const;
      const small = isSmall(this.#parameters.items, inputs);
      const built = await this.#tools.workers.copy(
        { ...task, now: nanosecondsNow() },
        { signal: context.signal, small },
      );
      const sealed = built.entries === 0 ? undefined : await this.#tools.snapshots.seal(draft.id, { built });
      const made = await storeLayer(this.#tools, draft, below.chainId, sealed, { latest });
      const contents = await (this.#found ?? this.#contents(inputs, context.signal));
      const [only = ""] = contents;
      return { ...made, note: contents.length === 1 ? only : `multi:${digestOf(contents.join(",")).slice(7)}` };
    });
  }

  result(inputs: readonly Tree[], made: Made): Tree {
    return grown(layered(inputs[0]), made);
  }

  /** A user alone gives the group of the same number, as the reference says. */
  async #owner(below: LayeredTree): Promise<{ uid: number; gid: number } | undefined> {
    const { chown } = this.#parameters;
    if (chown === undefined) return undefined;
    const [user = "", group] = chown.split(":", 2);
    const files = isNumeric(chown) ? { passwd: "", group: "" } : await this.#userFiles(below);
    try {
      const { uid, gid } = resolveUser(group === undefined ? user : `${user}:${group}`, files);
      return { uid, gid: group === undefined || group === "" ? uid : gid };
    } catch (cause) {
      if (!(cause instanceof EngineError)) throw cause;
      throw new EngineError("invalid", `unable to convert uid/gid chown string to host mapping: ${cause.message}`, {
        cause,
      });
    }
  }

  async #userFiles({ chainId }: LayeredTree) {
    if (chainId === undefined) return { passwd: "", group: "" };
    return this.#tools.snapshots.withLayer(chainId, async (root) => readUserFiles(root));
  }
}

function isNumeric(chown: string | undefined): boolean {
  return chown === undefined || /^\d+(?::\d*)?$/.test(chown);
}

export function nanosecondsNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
