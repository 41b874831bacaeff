import type { Images } from "../../images/images.ts";
import { parseReference, withDefaultTag } from "../../oci/reference.ts";
import type { Session } from "../session/session.ts";
import type { Job } from "./jobs.ts";

const DOCKER_HUB = "https://index.docker.io/v1/";

/** Pushes what was tagged, with the client's logins. Returns the digest that the registry has last, undefined when nothing was asked for. */
export async function pushAll(
  images: Images,
  { progress, signal }: Job,
  session: Session,
  names: readonly string[],
): Promise<string | undefined> {
  let digest: string | undefined;
  for (const name of names) {
    await progress.shown(`pushing ${name}`, async (log) => {
      const { domain } = withDefaultTag(parseReference(name));
      const credentials = await session.credentials(domain === "docker.io" ? DOCKER_HUB : domain, signal);
      await images.push(name, {
        credentials: credentials === undefined ? undefined : { ...credentials },
        signal,
        onProgress: ({ status, id, aux }) => {
          if (status !== undefined && id === undefined) log(status);
          const { Digest } = (aux ?? {}) as { readonly Digest?: unknown };
          if (typeof Digest === "string") digest = Digest;
        },
      });
    });
  }
  return digest;
}
