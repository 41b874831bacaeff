/** Registries: logging in, searching, asking what a name stands for. */
import { EngineError } from "../../base/errors.ts";
import type { Filters } from "../../images/images.ts";
import { parseReference } from "../../oci/reference.ts";
import type { SearchResult } from "../../remote/remote.ts";
import { anything } from "../json/schema.ts";
import { filters, integer, text } from "../query.ts";
import { credentialsOf, registryCredentials } from "../registry-auth.ts";
import { type Call, json, type Reply, type Route, route } from "../route.ts";

const searchQuery = { term: text, limit: integer, filters: filters(["is-official", "is-automated", "stars"]) };

export const registryRoutes: readonly Route[] = [
  route("POST", "/auth", { handle: login }),
  route("GET", "/distribution/{name}/json", { since: 30, handle: distribution }),
  route("GET", "/images/search", { query: searchQuery, handle: search }),
];

async function login({ engine, json: body, signal }: Call<"/auth">): Promise<Reply> {
  const given = (await body(anything)) as { serveraddress?: unknown } | undefined;
  const credentials = credentialsOf(given) ?? { serverAddress: addressOf(given) };
  const { status, identityToken } = await engine.remote.login(credentials, signal);
  return json({ Status: status, IdentityToken: identityToken });
}

function addressOf(given: { serveraddress?: unknown } | undefined): string | undefined {
  return typeof given?.serveraddress === "string" ? given.serveraddress : undefined;
}

async function distribution({ engine, path, request, signal }: Call<"/distribution/{name}/json">): Promise<Reply> {
  const reference = parseReference(path.name);
  const { descriptor, platforms } = await engine.remote.distribution(reference, {
    credentials: registryCredentials(request),
    signal,
  });
  return json({ Descriptor: descriptor, Platforms: platforms });
}

async function search({ engine, query, request, signal }: Call<"/images/search", typeof searchQuery>): Promise<Reply> {
  const { term, limit, filters: wanted } = query;
  if (term === undefined) throw new EngineError("invalid", "the term to search for is missing");
  const keep = keeper(wanted);
  const credentials = registryCredentials(request);
  const found = await engine.remote.search(term, { limit: limit === 0 ? undefined : limit, credentials, signal });
  return json(found.filter(keep));
}

/** Throws "invalid" with Docker's text for a value that is none. */
function keeper(wanted: Filters): (result: SearchResult) => boolean {
  const official = flagOf(wanted, "is-official");
  const automated = flagOf(wanted, "is-automated");
  const stars = Math.max(0, ...(wanted.stars ?? []).map((value) => starsOf(value)));
  return ({ is_official, is_automated, star_count }) =>
    (official ?? is_official) === is_official && (automated ?? is_automated) === is_automated && star_count >= stars;
}

function flagOf(wanted: Filters, name: string): boolean | undefined {
  const [value] = wanted[name] ?? [];
  if (value === undefined) return undefined;
  if (["true", "1"].includes(value)) return true;
  if (["false", "0"].includes(value)) return false;
  throw new EngineError("invalid", `invalid filter '${name}=[${value}]'`);
}

function starsOf(value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw new EngineError("invalid", `invalid filter 'stars=[${value}]'`);
}
