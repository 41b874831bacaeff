/** What the configuration says of registries: mirrors, rules, insecure ones, proxies. Checked here, so that a wrong one never starts. */
import { EngineError } from "../base/errors.ts";
import type { MirrorRule, RegistryRule, RemoteSettings } from "../remote/remote.ts";
import type { Configuration } from "./configuration.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Throws "invalid" with the place and the value. What is not set is left to the engine's defaults. */
export function remoteSettings(configuration: Configuration, env: Env = {}): Partial<RemoteSettings> {
  const proxies = (configuration.raw("proxies") ?? {}) as Record<string, unknown>;
  const proxy = (key: "http-proxy" | "https-proxy" | "no-proxy") => {
    const variable = key.toUpperCase().replace("-", "_");
    const inFile = typeof proxies[key] === "string" ? (proxies[key] as string) : undefined;
    return configuration.text(key) ?? (inFile || env[variable] || env[variable.toLowerCase()] || undefined);
  };
  const number = (key: string) => configuration.number(key) || undefined;
  return {
    mirrors: configuration.list("registry-mirrors").map(checkMirror),
    insecureRegistries: configuration.list("insecure-registries").map(checkInsecure),
    rules: readRules(configuration.raw("registries")),
    httpProxy: proxy("http-proxy"),
    httpsProxy: proxy("https-proxy"),
    noProxy: proxy("no-proxy"),
    ...defined("maxConcurrentDownloads", number("max-concurrent-downloads")),
    ...defined("maxConcurrentUploads", number("max-concurrent-uploads")),
    ...defined("maxDownloadAttempts", number("max-download-attempts")),
  };
}

function defined<Key extends string>(key: Key, value: number | undefined): { readonly [K in Key]?: number } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [K in Key]?: number };
}

/** With dockerd's words. */
function checkMirror(text: string): string {
  const url = URL.parse(text);
  const problem =
    url === null || !/^https?:$/.test(url.protocol)
      ? `unsupported scheme "${url?.protocol.slice(0, -1) ?? ""}"`
      : url.search !== "" || url.hash !== ""
        ? "query or fragment at end of the URI"
        : url.username !== "" || url.password !== ""
          ? "username/password not allowed in URI"
          : undefined;
  if (problem === undefined) return text;
  throw new EngineError("invalid", `invalid mirror: ${problem} in ${JSON.stringify(text)}`, {
    hint: "A mirror is a URL: https://mirror.example.com.",
  });
}

/** "http://" before it is forgiven. */
function checkInsecure(text: string): string {
  const bare = text.replace(/^https?:\/\//i, "").replace(/\/$/, "");
  if (/^[\w.:[\]-]+(?:\/\d{1,3})?$/.test(bare)) return bare;
  throw new EngineError(
    "invalid",
    `insecure registry ${JSON.stringify(text)} is not valid: expected host[:port] or a network`,
  );
}

function readRules(value: unknown): RegistryRule[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw wrong("registries", "expected a list of rules");
  return value.map((rule, at) => readRule(rule, `registries[${at}]`));
}

const RULE_KEYS = ["prefix", "location", "insecure", "blocked", "mirrors", "mirrors-only"];
const MIRROR_KEYS = ["location", "insecure", "pull"];
const LOCATION = /^(?:https?:\/\/)?[\w.:[\]-]+(?:\/[\w./-]+)?\/?$/;
const PREFIX = /^(?:\*\.)?[\w.:[\]-]+(?:\/[a-z0-9._/-]+)?$/;

function readRule(value: unknown, at: string): RegistryRule {
  const given = fields(value, RULE_KEYS, at);
  const { prefix, mirrors = [] } = given;
  if (typeof prefix !== "string" || !PREFIX.test(prefix))
    throw wrong(
      `${at}.prefix`,
      `expected a registry or the beginning of names in one, found ${JSON.stringify(prefix)}`,
    );
  if (!Array.isArray(mirrors)) throw wrong(`${at}.mirrors`, "expected a list");
  const places = mirrors.map((mirror, index) => readMirror(mirror, `${at}.mirrors[${index}]`));
  return {
    prefix,
    location: given.location === undefined ? undefined : location(given.location, `${at}.location`),
    insecure: flag(given, "insecure", at),
    blocked: flag(given, "blocked", at),
    mirrors: places,
    mirrorsOnly: flag(given, "mirrors-only", at),
  };
}

/** A text, or an object with more to say. */
function readMirror(value: unknown, at: string): MirrorRule {
  if (typeof value === "string") return { location: location(value, at) };
  const given = fields(value, MIRROR_KEYS, at);
  const { pull } = given;
  if (pull !== undefined && !["all", "digest-only", "tag-only"].includes(pull as string))
    throw wrong(`${at}.pull`, `expected "all", "digest-only" or "tag-only", found ${JSON.stringify(pull)}`);
  return {
    location: location(given.location, `${at}.location`),
    insecure: flag(given, "insecure", at),
    pull: pull as MirrorRule["pull"],
  };
}

function fields(value: unknown, known: readonly string[], at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(at, "expected an object");
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw wrong(at, `unknown ${unknown.join(", ")}; there is ${known.join(", ")}`);
  return value as Record<string, unknown>;
}

function flag(given: Record<string, unknown>, key: string, at: string): boolean | undefined {
  const value = given[key];
  if (value === undefined || typeof value === "boolean") return value;
  throw wrong(`${at}.${key}`, `expected true or false, found ${JSON.stringify(value)}`);
}

function location(value: unknown, at: string): string {
  if (typeof value === "string" && LOCATION.test(value)) return value;
  throw wrong(at, `expected host[:port][/path], found ${JSON.stringify(value)}`);
}

function wrong(at: string, problem: string): EngineError {
  return new EngineError("invalid", `invalid ${at}: ${problem}`);
}
