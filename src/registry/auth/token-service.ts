/**
 * The registry as its own token server: `GET /token` of Docker's token authentication, `POST /token` of its OAuth 2 variant. A token
 * says no more than the rules allow; they are looked at again when it is used.
 */
import { createHash, randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { RegistryError } from "../errors.ts";
import { readBody } from "../http/body.ts";
import { sendJson } from "../http/reply.ts";
import { type Actor, type Auth, SERVICE } from "./auth.ts";
import { readOwnToken, signToken } from "./jwt.ts";
import { allows } from "./rules.ts";
import { type Access, parseScopes } from "./scopes.ts";

/** Seconds. A client asks again when a long push goes on. */
const ACCESS_LASTS = 300;
const REFRESH_LASTS = 90 * 24 * 3600;
const FORM_LIMIT = 16 << 10;

interface Pair {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Answers; throws UNAUTHORIZED for wrong credentials. */
export async function issueToken(auth: Auth, pair: Pair, query: URLSearchParams): Promise<void> {
  if (auth.options.users === undefined)
    throw new RegistryError("UNSUPPORTED", "no tokens are issued here", { status: 404 });
  if (pair.request.method === "POST") return await byForm(auth, pair);
  const actor = await auth.identify(pair.request);
  answer(auth, pair.response, {
    actor,
    scopes: parseScopes(query.getAll("scope")),
    refresh: query.get("offline_token") === "true" && actor.user !== undefined,
  });
}

async function byForm(auth: Auth, pair: Pair): Promise<void> {
  const tooLarge = () => new RegistryError("UNSUPPORTED", "the form is too large", { status: 413 });
  const form = new URLSearchParams((await readBody(pair, FORM_LIMIT, tooLarge)).toString());
  const actor = await actorOf(auth, form);
  if (actor === undefined) throw new RegistryError("UNAUTHORIZED", "incorrect username, password or refresh token");
  answer(auth, pair.response, {
    actor,
    scopes: parseScopes(form.getAll("scope")),
    refresh: form.get("access_type") === "offline" || form.get("grant_type") === "refresh_token",
  });
}

async function actorOf(auth: Auth, form: URLSearchParams): Promise<Actor | undefined> {
  const grant = form.get("grant_type");
  if (grant === "password") {
    const pair = `${form.get("username") ?? ""}:${form.get("password") ?? ""}`;
    return await auth.byPassword("basic", Buffer.from(pair).toString("base64"));
  }
  if (grant === "refresh_token") return byRefreshToken(auth, form.get("refresh_token") ?? "");
  throw new RegistryError("UNSUPPORTED", `the grant type ${JSON.stringify(grant?.slice(0, 100))} is not supported`, {
    status: 400,
  });
}

/** Good until the user is removed or has another password. */
function byRefreshToken(auth: Auth, token: string): Actor | undefined {
  const claims = readOwnToken(token, auth.options.secret);
  const user = claims?.use === "refresh" && typeof claims.sub === "string" ? claims.sub : undefined;
  const hash = user === undefined ? undefined : auth.options.users?.users.get(user);
  return hash !== undefined && claims?.password === fingerprint(hash) ? { user, access: undefined } : undefined;
}

interface Grant {
  readonly actor: Actor;
  readonly scopes: readonly Access[];
  readonly refresh: boolean;
}

function answer(auth: Auth, response: ServerResponse, { actor: { user }, scopes, refresh }: Grant): void {
  const { secret, users, rules } = auth.options;
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: SERVICE, aud: SERVICE, sub: user ?? "", iat: now, nbf: now - 10, jti: randomUUID() };
  const access = scopes.map((scope) => ({
    ...scope,
    actions: actionsIn(scope).filter((action) => allows(rules, user, scope.name, action)),
  }));
  const granted = access.filter(({ type, actions }) => type === "repository" && actions.length > 0);
  const token = signToken({ ...claims, use: "access", exp: now + ACCESS_LASTS, access: granted }, secret);
  const hash = user === undefined ? undefined : users?.users.get(user);
  const again = { ...claims, use: "refresh", exp: now + REFRESH_LASTS, password: fingerprint(hash ?? "") };
  sendJson(
    response,
    200,
    {
      token,
      access_token: token,
      expires_in: ACCESS_LASTS,
      issued_at: new Date(now * 1000).toISOString().replace(/\.\d+Z$/, "Z"),
      ...(refresh && hash !== undefined && { refresh_token: signToken(again, secret) }),
    },
    { "Cache-Control": "no-store" },
  );
}

function actionsIn({ actions }: Access): ("pull" | "push" | "delete")[] {
  const all = ["pull", "push", "delete"] as const;
  return all.filter((action) => actions.includes(action) || actions.includes("*"));
}

function fingerprint(hash: string): string {
  return createHash("sha256").update(hash).digest("base64url").slice(0, 22);
}
