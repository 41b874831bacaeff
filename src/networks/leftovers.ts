/** What other engines left whose data root is gone: nobody will start there again and take it away. */
import { existsSync } from "node:fs";
import { deleteLink } from "../kernel/netlink.ts";
import type { Link } from "../kernel/netlink-answers.ts";
import { dataRootOf, makeNames } from "./names.ts";
import type { Parts } from "./parts.ts";

/**
 * Removes the bridges, links and tables of engines whose data root does not exist any more. Those of a bridge that carries a container
 * stay: its data root may lie in a mount namespace that we do not see.
 */
export async function sweepAbandoned({ host, firewall, names, logger }: Parts): Promise<void> {
  const links = host.links();
  const owners = [...links.map(({ alias }) => alias), ...(firewall?.tables() ?? []).map(({ comment }) => comment)];
  for (const owner of new Set(owners)) {
    const root = dataRootOf(owner);
    if (root === undefined || owner === names.alias || existsSync(root)) continue;
    const theirs = makeNames(root);
    if (inUse(links, theirs.alias)) continue;
    for (const { index, alias, name } of links)
      if (alias === theirs.alias || name.startsWith(theirs.linkPrefix)) host.run(deleteLink(index));
    await firewall?.remove(theirs.table);
    logger.log("info", "removed the networks of an engine whose data root is gone", { dataRoot: root });
  }
}

function inUse(links: readonly Link[], alias: string): boolean {
  const bridges = new Set(links.filter((link) => link.alias === alias).map(({ index }) => index));
  return links.some(({ master, up }) => up && bridges.has(master));
}
