import type { Given, RegistryCredentials } from "./builder.ts";

/** The thing of this name, of a table or asked for. */
export async function lookUp<T>(
  given: Given<T> | undefined,
  name: string,
  signal: AbortSignal,
): Promise<T | undefined> {
  return typeof given === "function" ? await given(name, signal) : given?.[name];
}

const DOCKER_HUB = ["https://index.docker.io/v1/", "index.docker.io", "docker.io"];

/** For a registry, by the domain of a reference. */
export async function credentialsFor(
  given: Given<RegistryCredentials> | undefined,
  domain: string,
  signal: AbortSignal,
): Promise<RegistryCredentials | undefined> {
  for (const name of domain === "docker.io" ? DOCKER_HUB : [domain]) {
    const found = await lookUp(given, name, signal);
    if (found !== undefined) return found;
  }
  return undefined;
}
