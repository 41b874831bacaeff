/** Requests to one repository at one endpoint: the scheme found out, the access asked for. */
import type { Readable } from "node:stream";
import { errorKind } from "../base/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Connections } from "./connections.ts";
import type { Endpoint, Scheme } from "./endpoints.ts";
import { discard, exchange, type HttpAnswer, type HttpRequest } from "./http.ts";
import type { Credentials, RemoteSettings } from "./remote.ts";
import { basic, type Tokens } from "./tokens.ts";

/** What all sessions know together. */
export interface Shared {
  readonly settings: RemoteSettings;
  readonly connections: Connections;
  readonly tokens: Tokens;
  /** By host: what it answered to. */
  readonly schemes: Map<string, Scheme>;
  /** By origin: how it wants to be asked, so that the next request asks so at once. */
  readonly challenges: Map<string, Challenge>;
}

export interface SessionRequest {
  readonly method: HttpRequest["method"];
  /** Below /v2/, or a whole URL on this host that the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: (() => Buffer | Readable) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: number | undefined;
  /** Beside those of the session. */
  readonly scopes?: readonly string[] | undefined;
}

export class Session {
  readonly endpoint: Endpoint;
  readonly #shared: Shared;
  readonly #credentials: Credentials | undefined;
  readonly #scopes: readonly string[];
  readonly #offline: boolean;
  #identityToken: string | undefined;

  constructor(
    shared: Shared,
    session: {
      readonly endpoint: Endpoint;
      readonly credentials: Credentials | undefined;
      /** "repository:library/alpine:pull". */
      readonly scopes: readonly string[];
      /** Ask for an identity token too. */
      readonly offline?: boolean | undefined;
    },
  ) {
    this.#shared = shared;
    this.endpoint = session.endpoint;
    this.#credentials = session.credentials;
    this.#scopes = session.scopes;
    this.#offline = session.offline ?? false;
  }

  /** What came along with the last token. */
  get identityToken(): string | undefined {
    return this.#identityToken;
  }

  /** Any answer but a challenge that can be met. Rejects as `exchange`; "unauthorized" when no token is given. */
  async send(request: SessionRequest): Promise<HttpAnswer> {
    const { schemes, host } = this.endpoint;
    if (request.path instanceof URL) {
      // A storage that the registry sends us to is not shown our token.
      if (request.path.host !== new URL(`${request.path.protocol}//${host}`).host)
        return await this.#sendWith(request, request.path, undefined);
      return await this.#authorised(request, request.path);
    }
    const known = this.#shared.schemes.get(host);
    const order = known === undefined ? schemes : schemes.toSorted((a, b) => Number(b === known) - Number(a === known));
    let first: unknown;
    for (const scheme of order) {
      try {
        const answer = await this.#authorised(request, this.#urlOf(request.path, scheme));
        this.#shared.schemes.set(host, scheme);
        return answer;
      } catch (error) {
        first ??= error;
        if (errorKind(error) !== "unavailable") throw error;
      }
    }
    throw first;
  }

  #urlOf(path: string, scheme: Scheme): URL {
    const { host, namespace } = this.endpoint;
    const url = new URL(`${scheme}://${host}/v2/${path}`);
    if (namespace !== undefined) url.searchParams.set("ns", namespace);
    return url;
  }

  async #authorised(request: SessionRequest, url: URL): Promise<HttpAnswer> {
    const scopes = [...this.#scopes, ...(request.scopes ?? [])];
    const challenge = this.#shared.challenges.get(url.origin);
    const { signal } = request;
    const before = challenge && (await this.#authorization(challenge, { url, scopes, fresh: false, signal }));
    const answer = await this.#sendWith(request, url, before);
    if (answer.status !== 401) return answer;
    const asked = chosen(parseChallenges(answer.headers["www-authenticate"] ?? ""));
    if (asked === undefined) return answer;
    this.#remember(url.origin, asked);
    const now = await this.#authorization(asked, { url, scopes, fresh: true, signal });
    // The same password again will not do either.
    if (now === undefined || now === before) return answer;
    await discard(answer);
    return await this.#sendWith(request, url, now);
  }

  #sendWith(request: SessionRequest, url: URL, authorization: string | undefined): Promise<HttpAnswer> {
    const headers = { ...request.headers, ...(authorization !== undefined && { Authorization: authorization }) };
    const { method, body, signal, patience } = request;
    const insecure = this.endpoint.insecure && url.host === this.endpoint.host;
    return exchange({ method, url, headers, body, signal, patience, insecure }, this.#shared.connections);
  }

  /** Undefined: there is nothing to show. */
  async #authorization(
    { scheme, parameters }: Challenge,
    ask: { url: URL; scopes: readonly string[]; fresh: boolean; signal: AbortSignal | undefined },
  ): Promise<string | undefined> {
    const credentials = this.#credentials;
    if (scheme === "basic")
      return credentials?.username ? basic(credentials.username, credentials.password) : undefined;
    if (credentials?.registryToken) return `Bearer ${credentials.registryToken}`;
    const { token, identityToken } = await this.#shared.tokens.get(
      {
        realm: parameters.realm ?? "",
        service: parameters.service,
        scopes: mergeScopes(ask.scopes),
        credentials: usable(credentials),
        offline: this.#offline,
        from: ask.url,
        signal: ask.signal,
      },
      { connections: this.#shared.connections, settings: this.#shared.settings, fresh: ask.fresh },
    );
    this.#identityToken = identityToken;
    return `Bearer ${token}`;
  }

  #remember(origin: string, challenge: Challenge): void {
    const { challenges } = this.#shared;
    if (challenges.size > 1000) challenges.clear();
    challenges.set(origin, challenge);
  }
}

/** Tokens before passwords. */
function chosen(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find(({ scheme }) => scheme === "bearer") ?? challenges.find(({ scheme }) => scheme === "basic");
}

function usable(credentials: Credentials | undefined): Credentials | undefined {
  return credentials?.username || credentials?.identityToken ? credentials : undefined;
}

/** One scope for each repository, with all its actions. */
export function mergeScopes(scopes: readonly string[]): string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(":");
    const known = actions.get(scope.slice(0, colon)) ?? new Set();
    for (const action of scope.slice(colon + 1).split(",")) known.add(action);
    actions.set(scope.slice(0, colon), known);
  }
  return [...actions].map(([resource, set]) => `${resource}:${[...set].join(",")}`);
}
