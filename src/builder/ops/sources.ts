import { mkdirSync } from "node:fs";
import { digestOf } from "../../base/digest.ts";
import type { Toolkit } from "../toolkit.ts";
import type { LayeredTree, Tree } from "../tree.ts";
import type { CopyParametersItem, SelectionWish } from "./copy.ts";
import { type SelectionDigest, TooMuch } from "./files/digest.ts";
import type { Selection, TreeSource } from "./files/selection.ts";
import { ensureUnpacked } from "./layers.ts";

/** So few entries, and so few bytes, are looked at faster here than a worker starts. */
const SMALL = { entries: 2000, bytes: 8 << 20 } as const;

/** How much a selection was, by what it was asked of; so that its copying knows where to happen. */
const sizes = new WeakMap<Tree, Map<string, SelectionSize>>();

type SelectionSize = Pick<SelectionDigest, "entries" | "bytes">;

/** The digest of what a selection takes from a tree, as history has it ("file:1234", "dir:1234", "multi:1234"): that of a layered tree is remembered for good. */
export async function digestOfSelection(
  tools: Toolkit,
  tree: Tree | undefined,
  wish: SelectionWish,
  signal: AbortSignal,
): Promise<string> {
  if (tree === undefined) throw new Error("a selection has no source");
  const name = nameOf(tree);
  const text = JSON.stringify([wish.patterns, wish.excludes, wish.parents]);
  const known = name === "" ? undefined : tools.digests.get(name, digestOf(text));
  if (known !== undefined) {
    const [digest = "", entries, bytes] = known.split(" ");
    if (bytes !== undefined) remember(tree, text, { entries: Number(entries), bytes: Number(bytes) });
    return digest;
  }
  const { source, close } = await withSource(tools, tree, signal);
  try {
    const found = await look(tools, { ...wish, source }, signal);
    remember(tree, text, found);
    const digest = `${found.shape}:${found.digest.slice("sha256:".length)}`;
    if (name !== "") tools.digests.set(name, digestOf(text), `${digest} ${found.entries} ${found.bytes}`);
    return digest;
  } finally {
    await close();
  }
}

/** What a tree is remembered by; "" for one that may change. */
function nameOf(tree: Tree): string {
  if (tree.kind === "layers") return tree.chainId ?? "";
  const { version } = tree.source;
  return version === undefined ? "" : `context ${version.name} ${version.text}`;
}

/** Here, in slices, unless it turns out to be much. */
async function look({ workers }: Toolkit, selection: Selection, signal: AbortSignal): Promise<SelectionDigest> {
  try {
    return await workers.digest({ kind: "digest", selection, atMost: SMALL }, { signal, small: true });
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    return await workers.digest({ kind: "digest", selection }, { signal, small: false });
  }
}

function remember(tree: Tree, text: string, found: SelectionSize): void {
  const known = sizes.get(tree) ?? new Map<string, SelectionSize>();
  sizes.set(tree, known.set(text, found));
}

/** A folder with the tree's files, until `close`. */
export async function withSource(
  tools: Toolkit,
  tree: Tree | undefined,
  signal: AbortSignal,
): Promise<{ readonly source: TreeSource; readonly close: () => Promise<void> }> {
  if (tree === undefined) throw new Error("a selection has no source");
  if (tree.kind === "folder") return { source: tree.source, close: async () => {} };
  const { root, close } = await openView(tools, tree, signal);
  return { source: { root, ignore: [], name: "the stage or image", foreign: false, hashes: undefined }, close };
}

/** A layered tree's files at a read-only mount, until `close`. */
export async function openView(
  tools: Toolkit,
  tree: LayeredTree,
  signal: AbortSignal,
): Promise<{ readonly root: string; readonly close: () => Promise<void> }> {
  const { chainId } = tree;
  if (chainId === undefined) {
    const root = tools.store.paths.emptyFolder;
    mkdirSync(root, { recursive: true });
    return { root, close: async () => {} };
  }
  await ensureUnpacked(tools, tree, signal);
  const opened = Promise.withResolvers<string>();
  const over = Promise.withResolvers<void>();
  const held = tools.snapshots.withLayer(chainId, async (root) => {
    opened.resolve(root);
    await over.promise;
  });
  held.catch(opened.reject);
  const root = await opened.promise;
  return {
    root,
    close: async () => {
      over.resolve();
      await held;
    },
  };
}

/** Whether so little is copied that it is done here; what is not known counts as much. */
export function isSmall(items: readonly CopyParametersItem[], inputs: readonly Tree[]): boolean {
  let [entries, bytes] = [0, 0];
  for (const item of items) {
    if (item.kind === "inline") continue;
    const { patterns, excludes, parents } = item.wish;
    const tree = inputs[item.input];
    const found = tree && sizes.get(tree)?.get(JSON.stringify([patterns, excludes, parents]));
    if (found === undefined || item.unpack) return false;
    entries += found.entries;
    bytes += found.bytes;
  }
  return entries <= SMALL.entries && bytes <= SMALL.bytes;
}
