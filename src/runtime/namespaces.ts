import type { Namespace, NamespaceType } from "./spec-types.ts";

/** "host": the machine's own; "new": one of the container's own; a path: that of another container or a prepared one. */
export type NamespaceChoice = "host" | "new" | { readonly path: string };

export interface NamespaceChoices {
  readonly network: NamespaceChoice;
  readonly pid: NamespaceChoice;
  readonly ipc: NamespaceChoice;
  readonly uts: NamespaceChoice;
  readonly cgroup: "host" | "new";
}

const ORDER: readonly (keyof NamespaceChoices & NamespaceType)[] = ["pid", "network", "ipc", "uts", "cgroup"];

/** The mount namespace is always the container's own. */
export function specNamespaces(choices: NamespaceChoices): Namespace[] {
  const namespaces: Namespace[] = [{ type: "mount" }];
  for (const type of ORDER) {
    const choice = choices[type];
    if (choice === "new") namespaces.push({ type });
    else if (choice !== "host") namespaces.push({ type, path: choice.path });
  }
  return namespaces;
}
