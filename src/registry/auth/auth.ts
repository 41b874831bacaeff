/**
 * Who a client is and what it may do.
 *
 * Three ways, by configuration: none (everyone may do everything), users of an htpasswd file, tokens of a token server of somebody
 * else's. With users the registry is its own token server (`token-service.ts`): Docker's clients ask it for a token where that is
 * what the challenge says, and any client may send name and password with each request.
 */
import type { IncomingMessage } from "node:http";
import { RegistryError } from "../errors.ts";
import type { Action } from "../http/routes.ts";
import type { HtpasswdFile } from "./htpasswd.ts";
import { readForeignToken, readOwnToken, type VerifyKey } from "./jwt.ts";
import type { Passwords } from "./passwords.ts";
import { allows, type Rule, welcomesAnyone } from "./rules.ts";
import { type Access, formatScope, grants } from "./scopes.ts";

export interface TokenServer {
  /** Where clients get tokens. */
  readonly realm: string;
  /** The audience. */
  readonly service: string;
  readonly issuer: string;
  readonly keys: readonly VerifyKey[];
}

export interface AuthOptions {
  readonly users?: HtpasswdFile | undefined;
  readonly passwords: Passwords;
  readonly rules: readonly Rule[];
  readonly server?: TokenServer | undefined;
  /** What clients are told to send: name and password, or a token. Default: tokens where anyone is welcome, since Docker's clients log in nowhere else then. */
  readonly scheme?: "basic" | "token" | undefined;
  /** Of our own tokens. */
  readonly secret: Buffer;
  /** "https://registry.example.com", when the client's own words are not to be trusted for it. */
  readonly url?: string | undefined;
}

export interface Actor {
  /** Undefined: not logged in. */
  readonly user: string | undefined;
  /** What its token is good for; undefined: it came without one. */
  readonly access: readonly Access[] | undefined;
}

export const SERVICE = "gantry-registry";
export const ANONYMOUS: Actor = Object.freeze({ user: undefined, access: undefined });

export class Auth {
  readonly #options: AuthOptions;
  readonly #scheme: "basic" | "token";

  constructor(options: AuthOptions) {
    this.#options = options;
    this.#scheme =
      options.scheme ?? (options.server !== undefined || welcomesAnyone(options.rules) ? "token" : "basic");
  }

  /** Whether clients are asked who they are at all. */
  get enabled(): boolean {
    return this.#options.users !== undefined || this.#options.server !== undefined;
  }

  get options(): AuthOptions {
    return this.#options;
  }

  /** Who sends this. Throws UNAUTHORIZED for wrong credentials: they are never taken for none. */
  async identify(request: IncomingMessage): Promise<Actor> {
    const [scheme = "", credentials = ""] = (request.headers.authorization ?? "").split(/ +/, 2);
    if (!this.enabled || scheme === "") return ANONYMOUS;
    const actor =
      scheme.toLowerCase() === "bearer" ? this.#byToken(credentials) : await this.byPassword(scheme, credentials);
    if (actor !== undefined) return actor;
    throw this.#unauthorized(request, [], scheme.toLowerCase() === "bearer" ? "invalid_token" : undefined);
  }

  /** Post-condition: the client may. Throws UNAUTHORIZED with a challenge when logging in may help, DENIED when it would not. */
  check(
    request: IncomingMessage,
    actor: Actor,
    wanted: readonly { readonly name: string; readonly action: Action }[],
  ): void {
    if (wanted.every(({ name, action }) => this.may(actor, name, action))) return;
    const scopes = wanted.map(({ name, action }) => ({ type: "repository", name, actions: actionsFor(action) }));
    const byRules = wanted.every(({ name, action }) => this.#rulesAllow(actor, name, action));
    if (actor.user === undefined || (actor.access !== undefined && byRules))
      throw this.#unauthorized(request, scopes, actor.access === undefined ? undefined : "insufficient_scope");
    throw new RegistryError("DENIED", "requested access to the resource is denied", {
      detail: scopes.map((scope) => ({ Type: scope.type, Name: scope.name, Action: scope.actions.at(-1) })),
    });
  }

  may(actor: Actor, name: string, action: Action): boolean {
    if (!this.enabled) return true;
    return this.#rulesAllow(actor, name, action) && (actor.access === undefined || grants(actor.access, name, action));
  }

  /** Tokens are asked for by repository, so that they say nothing about a list of all. */
  mayList(actor: Actor, name: string): boolean {
    const { server, rules } = this.#options;
    if (server !== undefined && rules.length === 0) return actor.access?.some(isCatalog) === true;
    return !this.enabled || this.#rulesAllow(actor, name, "pull");
  }

  /** Whether a token with a wider scope would help: the rules say yes, the token does not say it. */
  mayAsk(actor: Actor, name: string, action: Action): boolean {
    return this.enabled && this.#rulesAllow(actor, name, action) && !this.may(actor, name, action);
  }

  /** For what is no repository's: any client that is somebody, or everyone where anyone is welcome. */
  checkKnown(request: IncomingMessage, actor: Actor): void {
    const known = actor.user !== undefined || actor.access !== undefined;
    if (!this.enabled || known || (this.#scheme === "basic" && welcomesAnyone(this.#options.rules))) return;
    // A client learns from this answer to ask for tokens, also those for anyone.
    throw this.#unauthorized(request, []);
  }

  /** Undefined when they are wrong. */
  async byPassword(scheme: string, credentials: string): Promise<Actor | undefined> {
    if (scheme.toLowerCase() !== "basic" || this.#options.users === undefined) return undefined;
    const text = Buffer.from(credentials, "base64").toString("utf8");
    const colon = text.indexOf(":");
    if (colon < 0) return undefined;
    const [user, password] = [text.slice(0, colon), text.slice(colon + 1)];
    const right = await this.#options.passwords.matches(password, this.#options.users.users.get(user));
    return right ? { user, access: undefined } : undefined;
  }

  /** A server's tokens are the last word where there are no rules of ours. */
  #rulesAllow(actor: Actor, name: string, action: Action): boolean {
    const { rules, server } = this.#options;
    if (server !== undefined && rules.length === 0) return actor.access !== undefined;
    return allows(rules, actor.user, name, action);
  }

  #byToken(token: string): Actor | undefined {
    const { server, secret, users } = this.#options;
    const claims = server === undefined ? readOwnToken(token, secret) : readForeignToken(token, server.keys);
    const audience = server?.service ?? SERVICE;
    if (claims === undefined || ![claims.aud].flat().includes(audience)) return undefined;
    if (server !== undefined && claims.iss !== server.issuer) return undefined;
    if (server === undefined && claims.use !== "access") return undefined;
    const user = typeof claims.sub === "string" && claims.sub !== "" ? claims.sub : undefined;
    // A user who was removed has no tokens any more.
    if (server === undefined && user !== undefined && users?.users.has(user) !== true) return undefined;
    return { user, access: Array.isArray(claims.access) ? (claims.access as Access[]).filter(isAccess) : [] };
  }

  #unauthorized(request: IncomingMessage, scopes: readonly Access[], error?: string): RegistryError {
    return new RegistryError("UNAUTHORIZED", "authentication required", {
      detail: scopes.map((scope) => ({ Type: scope.type, Name: scope.name, Action: scope.actions.at(-1) })),
      headers: { "WWW-Authenticate": this.#challenge(request, scopes, error) },
    });
  }

  #challenge(request: IncomingMessage, scopes: readonly Access[], error?: string): string {
    if (this.#scheme === "basic") {
      // Of a script that asks for the password itself, so that the browser does not.
      const word = request.headers["x-requested-with"] === undefined ? "Basic" : "Page-Basic";
      return `${word} realm="Gantry registry", charset="UTF-8"`;
    }
    const { server } = this.#options;
    const fields = {
      realm: server?.realm ?? `${this.#options.url ?? urlOf(request)}/token`,
      service: server?.service ?? SERVICE,
      ...(scopes.length > 0 && { scope: scopes.map(formatScope).join(" ") }),
      ...(error !== undefined && { error }),
    };
    const text = Object.entries(fields).map(([key, value]) => `${key}="${value.replace(/["\\\x00-\x1f]/g, "")}"`);
    return `Bearer ${text.join(",")}`;
  }
}

/** Docker's clients ask for both when they push. */
function actionsFor(action: Action): readonly string[] {
  return action === "push" ? ["pull", "push"] : [action];
}

function isCatalog({ type, name, actions }: Access): boolean {
  return type === "registry" && name === "catalog" && actions.includes("*");
}

function isAccess(value: unknown): value is Access {
  const { type, name, actions } = (value ?? {}) as Partial<Access>;
  return typeof type === "string" && typeof name === "string" && Array.isArray(actions);
}

/** As the client sees us, also through a proxy that says what it was asked. It decides what is told to this client alone. */
export function urlOf({ socket, headers }: IncomingMessage): string {
  const encrypted = (socket as { readonly encrypted?: boolean }).encrypted === true;
  const scheme = /^https?$/.exec(first(headers["x-forwarded-proto"]))?.[0] ?? (encrypted ? "https" : "http");
  const host = HOST.exec(first(headers["x-forwarded-host"]))?.[0] ?? headers.host ?? "localhost";
  return `${scheme}://${host}`;
}

const HOST = /^(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?$/i;

/** Of several proxies the client's own. */
function first(header: string | string[] | undefined): string {
  return (String(header ?? "").split(",", 1)[0] ?? "").trim();
}
