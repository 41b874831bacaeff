/** Whether a registry takes credentials. */
import { EngineError } from "../base/errors.ts";
import { endpointsOf, splitLocation } from "./endpoints.ts";
import { discard } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { Credentials, LoginResult } from "./remote.ts";
import { Session, type Shared } from "./session.ts";

/** "unauthorized" when it does not. */
export async function login(
  shared: Shared,
  credentials: Credentials,
  signal: AbortSignal | undefined,
): Promise<LoginResult> {
  const reference = { domain: domainOf(credentials.serverAddress), path: "" };
  const [endpoint] = endpointsOf(reference, "push", shared.settings);
  if (endpoint === undefined) throw new EngineError("internal", "a registry without a place");
  const session = new Session(shared, { endpoint, credentials, scopes: [], offline: true });
  const answer = await session.send({ method: "GET", path: "", signal });
  if (answer.status === 401) {
    await discard(answer);
    throw new EngineError(
      "unauthorized",
      `login attempt to ${answer.url.href} failed: unauthorized: incorrect username or password`,
    );
  }
  if (answer.status !== 200) throw await registryError(answer, "logging in");
  await discard(answer);
  return { status: "Login Succeeded", identityToken: session.identityToken ?? "" };
}

/** Of "https://index.docker.io/v1/", "localhost:5000" or nothing: the domain that names of this registry begin with. */
export function domainOf(serverAddress: string | undefined): string {
  if (serverAddress === undefined || serverAddress === "") return "docker.io";
  const { host } = splitLocation(serverAddress);
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
