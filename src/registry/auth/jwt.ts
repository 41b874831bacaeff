/** JSON web tokens (RFC 7519): signed by our own secret, or by somebody else's keys. */
import {
  createHmac,
  createPublicKey,
  type JsonWebKeyInput,
  type KeyObject,
  timingSafeEqual,
  verify,
  X509Certificate,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { EngineError, errorMessage } from "../../base/errors.ts";

export type Claims = Readonly<Record<string, unknown>>;

/** Seconds that clocks may differ. */
const LEEWAY = 60;
const TOKEN_LIMIT = 32 << 10;

export function signToken(claims: Claims, secret: Buffer): string {
  const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

/** The claims of a token that we signed; undefined for any other, and for one whose time has not come or is over. */
export function readOwnToken(token: string, secret: Buffer): Claims | undefined {
  const parts = split(token);
  if (parts === undefined || parts.header.alg !== "HS256") return undefined;
  const expected = createHmac("sha256", secret).update(parts.signed).digest();
  const right = parts.signature.length === expected.length && timingSafeEqual(parts.signature, expected);
  return right && isCurrent(parts.claims) ? parts.claims : undefined;
}

export interface VerifyKey {
  readonly id: string | undefined;
  readonly key: KeyObject;
}

/** The claims of a token that one of these keys signed. */
export function readForeignToken(token: string, keys: readonly VerifyKey[]): Claims | undefined {
  const parts = split(token);
  if (parts === undefined) return undefined;
  const { kid } = parts.header;
  const named = keys.filter(({ id }) => id !== undefined && id === kid);
  const right = (named.length > 0 ? named : keys).some(({ key }) => isSignedBy(parts, key));
  return right && isCurrent(parts.claims) ? parts.claims : undefined;
}

interface Parts {
  readonly header: Claims;
  readonly claims: Claims;
  readonly signed: string;
  readonly signature: Buffer;
}

function split(token: string): Parts | undefined {
  const [header, claims, signature, more] = token.length > TOKEN_LIMIT ? [] : token.split(".");
  if (header === undefined || claims === undefined || signature === undefined || more !== undefined) return undefined;
  try {
    const parts = { header: decode(header), claims: decode(claims) };
    return { ...parts, signed: `${header}.${claims}`, signature: Buffer.from(signature, "base64url") };
  } catch {
    return undefined;
  }
}

/** RFC 7518, section 3.1: the algorithms of public keys, each for its kind of key alone. */
const ALGORITHMS: Readonly<
  Record<string, { readonly hash: string | null; readonly type: string; readonly pss?: true }>
> = {
  RS256: { hash: "sha256", type: "rsa" },
  RS384: { hash: "sha384", type: "rsa" },
  RS512: { hash: "sha512", type: "rsa" },
  PS256: { hash: "sha256", type: "rsa", pss: true },
  PS384: { hash: "sha384", type: "rsa", pss: true },
  PS512: { hash: "sha512", type: "rsa", pss: true },
  ES256: { hash: "sha256", type: "ec" },
  ES384: { hash: "sha384", type: "ec" },
  ES512: { hash: "sha512", type: "ec" },
  EdDSA: { hash: null, type: "ed25519" },
};
const RSA_PSS = { padding: 6, saltLength: -1 };

function isSignedBy({ header, signed, signature }: Parts, key: KeyObject): boolean {
  const name = String(header.alg);
  const algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (algorithm === undefined || algorithm.type !== key.asymmetricKeyType) return false;
  const options = { key, dsaEncoding: "ieee-p1363" as const, ...(algorithm.pss && RSA_PSS) };
  return verify(algorithm.hash, Buffer.from(signed), options, signature);
}

function isCurrent({ exp, nbf }: Claims): boolean {
  const now = Date.now() / 1000;
  return typeof exp === "number" && exp > now - LEEWAY && (typeof nbf !== "number" || nbf < now + LEEWAY);
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(text: string): Claims {
  const value = JSON.parse(Buffer.from(text, "base64url").toString()) as unknown;
  if (typeof value !== "object" || value === null) throw new EngineError("invalid", "not an object");
  return value as Claims;
}

/** Public keys or certificates in PEM, or a JSON web key set. Throws "invalid". */
export function readVerifyKeys(path: string): VerifyKey[] {
  try {
    const text = readFileSync(path, "utf8");
    const keys = text.trimStart().startsWith("{") ? fromKeySet(text) : fromPem(text);
    if (keys.length === 0) throw new EngineError("invalid", "it has no public key");
    return keys;
  } catch (error) {
    throw new EngineError("invalid", `cannot use ${path} to verify tokens: ${errorMessage(error)}`, { cause: error });
  }
}

function fromKeySet(text: string): VerifyKey[] {
  const { keys } = JSON.parse(text) as {
    readonly keys: readonly (JsonWebKeyInput["key"] & { readonly kid?: string })[];
  };
  return keys.map((jwk) => ({ id: jwk.kid, key: createPublicKey({ key: jwk, format: "jwk" }) }));
}

function fromPem(text: string): VerifyKey[] {
  const blocks = text.match(/-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g) ?? [];
  return blocks.map((pem) => {
    const key = pem.includes("BEGIN CERTIFICATE") ? new X509Certificate(pem).publicKey : createPublicKey(pem);
    return { id: undefined, key };
  });
}
