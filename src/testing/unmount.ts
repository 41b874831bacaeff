import { mountTable, unmountIfMounted } from "../kernel/mounts.ts";

/** Unmounts everything below a folder, the newest first. */
export function unmountBelow(folder: string): void {
  for (const { target } of mountTable().toReversed())
    if (target.startsWith(`${folder}/`)) unmountIfMounted(target, { detach: true });
}
