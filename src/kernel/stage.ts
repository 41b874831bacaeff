import { native } from "./native.ts";

export interface StagedMount {
  /** A folder or file of ours. */
  readonly source: string;
  /** A path inside the source; links are followed inside it alone, also while somebody changes them. */
  readonly part?: string | undefined;
  /** Where in the root; made where it is missing. Links are followed inside the root. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Without what is mounted below the source. */
  readonly flat?: boolean | undefined;
}

/**
 * Does work in a tree with further folders and files mounted in it, in this order. Nobody else sees the mounts, and a kill of this
 * process takes them away. `rootFd` is closed afterwards. Throws ENOENT for a part that is not there.
 */
export async function withStage<T>(
  root: string,
  mounts: readonly StagedMount[],
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  const [rootFd, stage] = await native.openStage(
    root,
    mounts.map(({ source }) => source),
    mounts.map(({ part = "" }) => part),
    mounts.map(({ target }) => target),
    mounts.map(({ readOnly, flat }) => `${readOnly ? "ro" : "rw"}${flat ? " flat" : ""}`),
  );
  try {
    return await work(rootFd);
  } finally {
    await native.closeStage(stage);
  }
}
