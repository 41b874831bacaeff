/** Tags of a repository, and all repositories: in the order of their bytes, a page at a time where the client asks. */
import { RegistryError } from "../errors.ts";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./reply.ts";

/** Names in one page at most; further pages are linked. */
const PAGE_LIMIT = 10_000;
/** Names in a page of the catalog whose client does not say. */
const CATALOG_PAGE = 1_000;

export async function listTags({ storage, cache, response, query, name }: Exchange): Promise<void> {
  const upstream = await cache.tags(name);
  if (upstream === undefined && !(await storage.repositories.exists(name)))
    throw new RegistryError("NAME_UNKNOWN", "repository name not known to registry", { detail: { name } });
  const page = pageOf(upstream ?? (await storage.repositories.tags(name)), query);
  sendJson(response, 200, { name, tags: page.items }, linkTo(`/v2/${name}/tags/list`, page.next));
}

/** Docker's extension: those that the client may pull from. */
export async function listRepositories({ storage, auth, actor, response, query }: Exchange): Promise<void> {
  const names = (await storage.repositories.names()).filter((name) => auth.mayList(actor, name));
  const page = pageOf(names, query, { usual: CATALOG_PAGE });
  sendJson(response, 200, { repositories: page.items }, linkTo("/v2/_catalog", page.next));
}

interface Page {
  readonly items: readonly string[];
  readonly next: URLSearchParams | undefined;
}

interface PageBounds {
  /** Names where the client does not say. Default: all. */
  readonly usual?: number | undefined;
  /** Whatever the client says. */
  readonly most?: number | undefined;
}

/** `n` names after `last`. Throws UNSUPPORTED when `n` is no count. */
export function pageOf(sorted: readonly string[], query: URLSearchParams, bounds: PageBounds = {}): Page {
  const count = countOf(query.get("n"), bounds);
  const last = query.get("last") ?? "";
  const start = last === "" ? 0 : firstAfter(sorted, last);
  const items = sorted.slice(start, start + count);
  const end = items.at(-1);
  if (end === undefined || start + count >= sorted.length) return { items, next: undefined };
  return { items, next: new URLSearchParams({ n: String(count), last: end }) };
}

function countOf(text: string | null, { usual = Number.POSITIVE_INFINITY, most = PAGE_LIMIT }: PageBounds): number {
  if (text === null) return usual;
  if (/^\d{1,15}$/.test(text)) return Math.min(Number(text), most);
  throw new RegistryError("UNSUPPORTED", `n must be a number, not ${JSON.stringify(text.slice(0, 100))}`, {
    status: 400,
  });
}

function firstAfter(sorted: readonly string[], last: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") > last) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** RFC 5988. */
export function linkTo(path: string, next: URLSearchParams | undefined): Record<string, string> {
  return next === undefined ? {} : { Link: `<${path}?${next}>; rel="next"` };
}
