import type { PruneOptions } from "../builder.ts";

export interface Space {
  /** Bytes that only the builder keeps. */
  readonly used: number;
  /** Bytes that the disk has free. */
  readonly free: number;
}

/** Bytes of the cache that a prune leaves, as BuildKit has it; undefined: none. A limit of 0 is none. */
export function keepBytes(
  { keepStorage = 0, maxUsedSpace = 0, minFreeSpace = 0 }: Omit<PruneOptions, "all" | "filters">,
  { used, free }: Space,
): number | undefined {
  if (keepStorage <= 0 && maxUsedSpace <= 0 && minFreeSpace <= 0) return undefined;
  const most = maxUsedSpace > 0 ? maxUsedSpace : minFreeSpace > 0 ? used : 0;
  const missing = Math.max(0, minFreeSpace - free);
  const roomy = missing > 0 ? Math.min(most, used - missing) : most;
  return Math.max(0, keepStorage, roomy);
}
