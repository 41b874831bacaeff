/** The names that links give: whoever `web` links to under the alias `db` is known as "/web/db" too, until that name is removed. */
import { EngineError } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { forgetLink, type Link, linksOf } from "./links.ts";

/** "/web/db" for each link to the container, in order. */
export function linkNames({ registry }: Pick<Context, "registry">, target: Container): string[] {
  return registry.linkers().flatMap(({ id, links }) => {
    const parent = registry.find(id);
    const ours = links.filter((text) => text.startsWith(`${target.id}:`));
    return parent === undefined ? [] : ours.map((text) => `/${parent.name}/${text.slice(target.id.length + 1)}`);
  });
}

/**
 * Takes a link's name away, "web/db", and with it the link: not the container. "not-found" when there is no such name, "conflict" for a
 * container's own name. Variables of a process that runs stay.
 */
export async function removeLink(context: Context, reference: string): Promise<void> {
  const { parent } = findLink(context, reference);
  await context.locks.run(parent.id, async () => {
    const { link } = findLink(context, reference);
    const { definition } = parent;
    const links = (definition.hostConfig.Links ?? []).filter((text) => text !== `${link.target.id}:${link.alias}`);
    context.registry.redefine(parent, { ...definition, hostConfig: { ...definition.hostConfig, Links: links } });
    forgetLink(context, parent, link);
  });
}

function findLink(context: Context, reference: string): { parent: Container; link: Link } {
  const { registry } = context;
  const [name = "", alias = "", ...rest] = reference.replace(/^\//, "").split("/");
  const parent = alias === "" ? registry.get(name) : registry.find(name);
  if (alias === "")
    throw new EngineError("conflict", "Conflict, cannot remove the default link name of the container", {
      hint: "name the link as the container that has it and the alias, web/db, or leave --link away to remove the container",
    });
  const link = parent && rest.length === 0 ? linksOf(context, parent).find((one) => one.alias === alias) : undefined;
  if (parent === undefined || link === undefined) throw new EngineError("not-found", `No such container: ${reference}`);
  return { parent, link };
}
