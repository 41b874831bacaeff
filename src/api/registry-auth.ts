/** The credentials that clients send along for a registry: X-Registry-Auth, base64url of JSON. */
import type { IncomingMessage } from "node:http";
import type { Credentials } from "../remote/remote.ts";

/** Undefined when there are none. What cannot be read counts as none, as with Docker: the registry will say that it wants some. */
export function registryCredentials({ headers }: IncomingMessage): Credentials | undefined {
  const header = headers["x-registry-auth"];
  if (typeof header !== "string" || header === "") return undefined;
  try {
    return credentialsOf(JSON.parse(Buffer.from(header, "base64url").toString("utf8")));
  } catch {
    return undefined;
  }
}

/** From the members of Docker's AuthConfig. */
export function credentialsOf(value: unknown): Credentials | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Record<string, unknown>;
  const text = (name: string) =>
    typeof given[name] === "string" && given[name] !== "" ? (given[name] as string) : undefined;
  const [user, password] = pairOf(text("auth"));
  const credentials = {
    username: text("username") ?? user,
    password: text("password") ?? password,
    identityToken: text("identitytoken"),
    registryToken: text("registrytoken"),
    serverAddress: text("serveraddress"),
  };
  const { serverAddress: _, ...secrets } = credentials;
  return Object.values(secrets).some((secret) => secret !== undefined) ? credentials : undefined;
}

/** "auth" is base64 of "user:password". */
function pairOf(auth: string | undefined): [user?: string, password?: string] {
  if (auth === undefined) return [];
  const decoded = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  return colon < 0 ? [] : [decoded.slice(0, colon), decoded.slice(colon + 1)];
}
