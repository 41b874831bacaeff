/** Bearer tokens: asked of the server that a challenge names, kept until shortly before they expire. */
import { createHash } from "node:crypto";
import { EngineError } from "../base/errors.ts";
import type { Connections } from "./connections.ts";
import { isInsecure } from "./endpoints.ts";
import { discard, exchange, type HttpAnswer, readBody } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { Credentials, RemoteSettings } from "./remote.ts";

export interface TokenRequest {
  readonly realm: string;
  readonly service: string | undefined;
  /** "repository:library/alpine:pull". */
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** Ask for an identity token too. */
  readonly offline?: boolean | undefined;
  /** Where the challenge came from. */
  readonly from: URL;
  readonly signal?: AbortSignal | undefined;
}

export interface Token {
  readonly token: string;
  /** For later logins, when it was asked for and the server gives them. */
  readonly identityToken: string | undefined;
}

const CLIENT = "docker";
const MAX_ANSWER = 1 << 20;
/** What the specification says for servers that don't. Seconds. */
const DEFAULT_LIFE = 60;
/** A token is not used in the last of its time. Seconds. */
const MARGIN = 5;
const KEPT = 1000;

export class Tokens {
  readonly #kept = new Map<string, { readonly token: Token; readonly until: number }>();

  /** "unauthorized" when the server refuses. `fresh`: what is kept is not good any more. */
  async get(
    request: TokenRequest,
    use: { connections: Connections; settings: RemoteSettings; fresh: boolean },
  ): Promise<Token> {
    const key = keyOf(request);
    const kept = this.#kept.get(key);
    if (!use.fresh && kept !== undefined && kept.until > Date.now()) return kept.token;
    this.#kept.delete(key);
    const { life, ...token } = await ask(request, use);
    if (this.#kept.size >= KEPT) this.#kept.delete(this.#kept.keys().next().value ?? "");
    this.#kept.set(key, { token, until: Date.now() + (life - MARGIN) * 1000 });
    return token;
  }

  clear(): void {
    this.#kept.clear();
  }
}

/** Secrets are kept as digests only. */
function keyOf({ realm, service, scopes, credentials = {}, offline }: TokenRequest): string {
  const { username, password, identityToken } = credentials;
  const secret = createHash("sha256")
    .update(JSON.stringify([username, password, identityToken]))
    .digest("hex");
  return JSON.stringify([realm, service, scopes, secret, offline]);
}

async function ask(
  request: TokenRequest,
  { connections, settings }: { connections: Connections; settings: RemoteSettings },
): Promise<Token & { readonly life: number }> {
  const url = realmOf(request);
  checkSafe(url, request, settings);
  const answer = await exchange({ ...askFor(url, request), signal: request.signal }, connections);
  if (answer.status !== 200) throw await refused(answer, request);
  return readToken(await readBody(answer, MAX_ANSWER, `the token of ${url.host}`), url);
}

function realmOf({ realm, from }: TokenRequest): URL {
  const url = URL.parse(realm);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new EngineError(
    "invalid",
    `${from.host} asks for a token of ${JSON.stringify(realm.slice(0, 200))}, which is no URL`,
  );
}

/** A registry that is reached safely must not make us send a password over the open wire. */
function checkSafe(url: URL, { credentials, from }: TokenRequest, settings: RemoteSettings): void {
  if (credentials === undefined || url.protocol === "https:" || from.protocol === "http:") return;
  if (isInsecure(url.host, settings)) return;
  throw new EngineError("invalid", `${from.host} wants the password sent to ${url.origin} without encryption`, {
    hint: `If that is meant to be so, name ${url.host} in insecure-registries.`,
  });
}

/** An identity token goes by the OAuth 2 form, all else by the older GET, which every server knows. */
function askFor(url: URL, { service = "", scopes, credentials, offline }: TokenRequest) {
  const { username, password, identityToken } = credentials ?? {};
  if (identityToken !== undefined && identityToken !== "") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: identityToken,
      service,
      client_id: CLIENT,
    });
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    const body = Buffer.from(form.toString());
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    return { method: "POST", url, headers, body: () => body } as const;
  }
  const asked = new URL(url);
  if (service !== "") asked.searchParams.set("service", service);
  for (const scope of scopes) asked.searchParams.append("scope", scope);
  if (username) asked.searchParams.set("account", username);
  if (offline === true) {
    asked.searchParams.set("offline_token", "true");
    asked.searchParams.set("client_id", CLIENT);
  }
  return { method: "GET", url: asked, headers: username ? { Authorization: basic(username, password) } : {} } as const;
}

export function basic(username: string, password = ""): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function refused(answer: HttpAnswer, { from, credentials }: TokenRequest): Promise<EngineError> {
  const { status, url } = answer;
  if (status === 401 || status === 403 || status === 400) {
    await discard(answer);
    const why = credentials === undefined ? "authentication required" : "incorrect username or password";
    return new EngineError("unauthorized", `unauthorized: ${why}`, { hint: `Log in to ${from.host} with login.` });
  }
  return await registryError(answer, `asking ${url.host} for a token`);
}

function readToken(bytes: Buffer, url: URL): Token & { readonly life: number } {
  const json = parse(bytes);
  const token = json.token ?? json.access_token;
  if (typeof token !== "string" || token === "" || /[^\x21-\x7e]/.test(token))
    throw new EngineError("invalid", `${url.host} answered without a token`);
  const { refresh_token: identity, expires_in: life } = json;
  return {
    token,
    identityToken: typeof identity === "string" && identity !== "" ? identity : undefined,
    life: Math.max(DEFAULT_LIFE, typeof life === "number" && Number.isFinite(life) ? Math.min(life, 86_400) : 0),
  };
}

function parse(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
