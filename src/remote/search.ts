/** Searching: Docker Hub's search where a registry has it, else its catalog. */
import { EngineError, errorKind } from "../base/errors.ts";
import { parseJsonObject } from "../oci/validate.ts";
import { endpointsOf } from "./endpoints.ts";
import { discard, exchange, type HttpAnswer, readBody } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { SearchOptions, SearchResult } from "./remote.ts";
import { Session, type Shared } from "./session.ts";
import { basic } from "./tokens.ts";

const ANSWER_BYTES = 8 << 20;
const DEFAULT_LIMIT = 25;
const MOST = 100;
/** Pages of a catalog that are looked through. */
const PAGES = 100;
const HUB = "index.docker.io";

/** `term` may begin with a registry: "localhost:5000/alpine". */
export async function search(shared: Shared, term: string, options: SearchOptions): Promise<SearchResult[]> {
  const { limit = DEFAULT_LIMIT } = options;
  if (limit < 1 || limit > MOST)
    throw new EngineError("invalid", `limit ${limit} is outside the range of [1, ${MOST}]`);
  if (term.includes("://"))
    throw new EngineError("invalid", "invalid repository name: repository name should not have a scheme");
  const { host, words } = splitTerm(term);
  const found = await byIndex(shared, host, words, { ...options, limit });
  if (found !== undefined) return found;
  return await byCatalog(shared, host, words, { ...options, limit });
}

function splitTerm(term: string): { host: string; words: string } {
  const slash = term.indexOf("/");
  const first = slash < 0 ? "" : term.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost";
  if (!isHost) return { host: HUB, words: term.replace(/^library\//, "") };
  const own = first === "docker.io" || first === HUB;
  return { host: own ? HUB : first, words: term.slice(slash + 1).replace(own ? /^library\// : /^$/, "") };
}

type Bounded = SearchOptions & { readonly limit: number };

/** Undefined when the registry has no such thing. */
async function byIndex(
  shared: Shared,
  host: string,
  words: string,
  options: Bounded,
): Promise<SearchResult[] | undefined> {
  const answer = await firstAnswer(
    shared,
    host,
    `/v1/search?${new URLSearchParams({ q: words, n: String(options.limit) })}`,
    options,
  );
  if (answer.status === 404 && host !== HUB) {
    await discard(answer);
    return undefined;
  }
  if (answer.status !== 200) throw await registryError(answer, `searching ${host}`);
  const what = `the search result of ${host}`;
  const { results } = parseJsonObject(await readBody(answer, ANSWER_BYTES, what), what, ANSWER_BYTES);
  if (!Array.isArray(results)) throw new EngineError("invalid", `${what} has no results`);
  return results.slice(0, options.limit).map(readResult);
}

async function firstAnswer(
  shared: Shared,
  host: string,
  path: string,
  { credentials, signal }: Bounded,
): Promise<HttpAnswer> {
  const [endpoint] = host === HUB ? [undefined] : endpointsOf({ domain: host, path: "" }, "push", shared.settings);
  const headers = credentials?.username ? { Authorization: basic(credentials.username, credentials.password) } : {};
  let first: unknown;
  for (const scheme of endpoint?.schemes ?? ["https"]) {
    const url = new URL(path, `${scheme}://${endpoint?.host ?? host}`);
    try {
      return await exchange({ method: "GET", url, headers, insecure: endpoint?.insecure, signal }, shared.connections);
    } catch (error) {
      first ??= error;
      if (errorKind(error) !== "unavailable") throw error;
    }
  }
  throw first;
}

function readResult(value: unknown): SearchResult {
  const given = (value ?? {}) as Record<string, unknown>;
  const text = (name: string) => (typeof given[name] === "string" ? (given[name] as string) : "");
  return {
    name: text("name"),
    description: text("description"),
    star_count: typeof given.star_count === "number" ? given.star_count : 0,
    is_official: given.is_official === true,
    is_automated: given.is_automated === true,
  };
}

async function byCatalog(shared: Shared, host: string, words: string, options: Bounded): Promise<SearchResult[]> {
  const { credentials, signal, limit } = options;
  const [endpoint] = endpointsOf({ domain: host, path: "" }, "push", shared.settings);
  if (endpoint === undefined) return [];
  const session = new Session(shared, { endpoint, credentials, scopes: ["registry:catalog:*"] });
  const found: SearchResult[] = [];
  let last = "";
  for (let page = 0; page < PAGES && found.length < limit; page++) {
    const names = await catalogPage(session, last, signal);
    const fitting = names.filter((name) => name.includes(words));
    found.push(...fitting.map((name) => readResult({ name: `${host}/${name}` })));
    const next = names.at(-1);
    if (next === undefined || next === last) break;
    last = next;
  }
  return found.slice(0, limit);
}

async function catalogPage(session: Session, last: string, signal: AbortSignal | undefined): Promise<string[]> {
  const query = new URLSearchParams({ n: "1000", ...(last !== "" && { last }) });
  const answer = await session.send({ method: "GET", path: `_catalog?${query}`, signal });
  const what = `the catalog of ${session.endpoint.host}`;
  if (answer.status !== 200) throw await registryError(answer, `reading ${what}`);
  const { repositories } = parseJsonObject(await readBody(answer, ANSWER_BYTES, what), what, ANSWER_BYTES);
  return Array.isArray(repositories) ? repositories.filter((name) => typeof name === "string") : [];
}
