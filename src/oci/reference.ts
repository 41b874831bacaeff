/**
 * Image names: Docker's grammar, and its two ways of writing them.
 *
 *   normalised  docker.io/library/alpine:3   what is stored and compared
 *   familiar    alpine:3                     what people type and see
 *
 * Grammar: the distribution specification's names, with Docker's defaults for what is left out. Error texts are Docker's.
 */
import { type Digest, isDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";

export interface Reference {
  /** "docker.io", "localhost:5000". */
  readonly domain: string;
  /** "library/alpine". */
  readonly path: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

const DEFAULT_DOMAIN = "docker.io";
const OFFICIAL = "library/";

const COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(`^(?:${COMPONENT}(?:\\.${COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST_SHAPE = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const HEX64 = /^[0-9a-f]{64}$/;
/** Longest repository path. */
const PATH_LIMIT = 255;

/** Parses a familiar or normalised name. Throws "invalid" with Docker's text. A missing tag stays missing. */
export function parseReference(text: string): Reference {
  if (text.length > 4096) throw malformed();
  if (HEX64.test(text))
    throw new EngineError("invalid", `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const { domain, rest } = splitDomain(text);
  checkCase(rest);
  const { name, digest } = cutDigest(rest);
  const { path, tag } = cutTag(name);
  if (!DOMAIN.test(domain) || path === "" || !path.split("/").every((part) => PATH_PART.test(part))) throw malformed();
  if (path.length > PATH_LIMIT)
    throw new EngineError("invalid", `repository name must not be more than ${PATH_LIMIT} characters`);
  if (tag !== undefined && !TAG.test(tag)) throw malformed();
  return Object.freeze({ domain, path, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) });
}

/** The same, or undefined when the text is no name. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

function malformed(): EngineError {
  return new EngineError("invalid", "invalid reference format");
}

/** The first component is a registry when it could be a host: it has a dot, a colon or a capital, or is "localhost". */
function splitDomain(text: string): { domain: string; rest: string } {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  const domain = !isHost || first === "index.docker.io" ? DEFAULT_DOMAIN : first;
  const rest = isHost ? text.slice(slash + 1) : text;
  return { domain, rest: domain === DEFAULT_DOMAIN && !rest.includes("/") ? OFFICIAL + rest : rest };
}

function checkCase(rest: string): void {
  const colon = rest.indexOf(":");
  const name = colon < 0 ? rest : rest.slice(0, colon);
  if (name.toLowerCase() !== name)
    throw new EngineError("invalid", `invalid reference format: repository name (${name}) must be lowercase`);
}

function cutDigest(rest: string): { name: string; digest: Digest | undefined } {
  const at = rest.indexOf("@");
  if (at < 0) return { name: rest, digest: undefined };
  const digest = rest.slice(at + 1);
  if (!DIGEST_SHAPE.test(digest)) throw malformed();
  if (!isDigest(digest)) throw new EngineError("invalid", digestProblem(digest));
  return { name: rest.slice(0, at), digest };
}

function digestProblem(digest: string): string {
  return /^sha(?:256|512):/.test(digest) ? "invalid checksum digest length" : "unsupported digest algorithm";
}

function cutTag(name: string): { path: string; tag: string | undefined } {
  const colon = name.lastIndexOf(":");
  if (colon < 0) return { path: name, tag: undefined };
  return { path: name.slice(0, colon), tag: name.slice(colon + 1) };
}

/** "latest" where neither tag nor digest is given. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** "docker.io/library/alpine". */
export function repositoryOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** "docker.io/library/alpine:3"; what is missing stays missing. */
export function normalisedName(reference: Reference): string {
  return repositoryOf(reference) + suffix(reference);
}

/** "alpine:3"; what is missing stays missing. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffix(reference);
}

/** "alpine". */
export function familiarRepository({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const short = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
  return short.includes("/") ? path : short;
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

/**
 * The reference that `tag`, `import` and `commit` give: a repository, which may carry a tag, and a tag that overrides it.
 * Throws "invalid"; digests are refused.
 */
export function parseTagTarget(repository: string, tag: string): Reference {
  const parsed = parseReference(repository);
  if (parsed.digest !== undefined) throw new EngineError("invalid", "refusing to create a tag with a digest reference");
  if (parsed.path === "library/sha256" && parsed.domain === DEFAULT_DOMAIN)
    throw new EngineError("invalid", "refusing to create an ambiguous tag using digest algorithm as name");
  if (tag !== "" && !TAG.test(tag)) throw new EngineError("invalid", "invalid tag format");
  return { domain: parsed.domain, path: parsed.path, tag: tag !== "" ? tag : (parsed.tag ?? "latest") };
}

/** What a user typed where an image is meant: a name, or (part of) an id. */
export type ImageName =
  | { readonly kind: "id"; readonly id: Digest }
  | { readonly kind: "name"; readonly reference: Reference; readonly text: string };

/** Throws "invalid" with Docker's text. A name may turn out to be an id prefix: that is for the caller to look up. */
export function parseImageName(text: string): ImageName {
  if (HEX64.test(text)) return { kind: "id", id: `sha256:${text}` };
  if (isDigest(text)) return { kind: "id", id: text };
  return { kind: "name", reference: parseReference(text), text };
}

/** The hex digits of "sha256:abc" or "abc" when the text can be the beginning of an id; otherwise undefined. */
export function idPrefix(text: string): string | undefined {
  return /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(text)?.[1];
}
