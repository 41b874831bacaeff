/** A server that gives bearer tokens for a docker-registry: the GET form and OAuth 2's, with refresh tokens. */
import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { makeAuthority } from "./certificates.ts";

export interface TokenRequestSeen {
  readonly method: string;
  readonly account: string | undefined;
  readonly scopes: readonly string[];
  readonly offline: boolean;
  readonly grant: string | undefined;
}

export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** What the registry trusts. */
  readonly rootCerts: string;
  readonly seen: TokenRequestSeen[];
  /** Seconds; changed by the test. */
  life: number;
}

export interface TokenRules {
  /** User → password. */
  readonly users: Readonly<Record<string, string>>;
  /** Whether someone (undefined: anonymous) may do it. */
  readonly allows: (user: string | undefined, repository: string, action: string) => boolean;
}

export async function startTokenServer(folder: string, rules: TokenRules): Promise<TokenServer> {
  makeAuthority(folder, "tokens");
  const signer = {
    key: readFileSync(join(folder, "tokens.key")),
    certificate: readFileSync(join(folder, "tokens.pem")),
  };
  const seen: TokenRequestSeen[] = [];
  const state = { life: 300 };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    realm: `http://localhost:${port}/token`,
    service: "test-registry",
    issuer: "test-issuer",
    rootCerts: join(folder, "tokens.pem"),
    seen,
    get life() {
      return state.life;
    },
    set life(seconds: number) {
      state.life = seconds;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const asked = request.method === "POST" ? new URLSearchParams(body) : url.searchParams;
    const scopes = request.method === "POST" ? (asked.get("scope") ?? "").split(" ") : asked.getAll("scope");
    const user = userOf(request, asked);
    const offline = asked.get("offline_token") === "true";
    seen.push({
      method: request.method ?? "",
      account: user,
      scopes: scopes.filter((scope) => scope !== ""),
      offline,
      grant: asked.get("grant_type") ?? undefined,
    });
    if (user === "?")
      return void response.writeHead(401, { "Content-Type": "application/json" }).end('{"details":"no"}');
    const token = makeToken(user, scopes);
    const refresh = offline || asked.has("grant_type") ? { refresh_token: `refresh-${user}` } : {};
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ token, access_token: token, expires_in: state.life, ...refresh }));
  }

  /** "?": wrong credentials. */
  function userOf({ headers }: IncomingMessage, asked: URLSearchParams): string | undefined {
    if (asked.has("refresh_token")) {
      const user = (asked.get("refresh_token") ?? "").replace(/^refresh-/, "");
      return user in rules.users ? user : "?";
    }
    if (headers.authorization === undefined) return undefined;
    const [user = "", password] = Buffer.from(headers.authorization.replace("Basic ", ""), "base64")
      .toString()
      .split(":");
    return rules.users[user] === password ? user : "?";
  }

  function makeToken(user: string | undefined, scopes: readonly string[]): string {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes
      .filter((scope) => scope !== "")
      .map((scope) => {
        const [, type, name = "", actions = ""] = /^([a-z]+):(.*):([a-z,*]+)$/.exec(scope) ?? [];
        return { type, name, actions: actions.split(",").filter((action) => rules.allows(user, name, action)) };
      });
    const claims = {
      iss: "test-issuer",
      sub: user ?? "",
      aud: "test-registry",
      exp: now + state.life,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access,
    };
    const chain = [new X509Certificate(signer.certificate).raw.toString("base64")];
    const head = `${encode({ typ: "JWT", alg: "ES256", x5c: chain })}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(head), {
      key: createPrivateKey(signer.key),
      dsaEncoding: "ieee-p1363",
    });
    return `${head}.${signature.toString("base64url")}`;
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
