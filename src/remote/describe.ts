/** What a registry says of something without sending it. */
import { isDigest } from "../base/digest.ts";
import { discard } from "./http.ts";
import { ACCEPT } from "./manifests.ts";
import { registryError } from "./registry-error.ts";
import type { Described } from "./remote.ts";
import type { Session } from "./session.ts";

/** Undefined when the registry does not have it. */
export async function describe(
  session: Session,
  kind: "manifests" | "blobs",
  which: string,
  signal: AbortSignal | undefined,
): Promise<Described | undefined> {
  const path = `${session.endpoint.path}/${kind}/${which}`;
  const answer = await session.send({
    method: "HEAD",
    path,
    headers: { Accept: kind === "blobs" ? "*/*" : ACCEPT },
    signal,
  });
  if (answer.status !== 200 && answer.status !== 404) throw await registryError(answer, `asking for ${which}`);
  await discard(answer);
  if (answer.status === 404) return undefined;
  const digest = answer.headers["docker-content-digest"];
  const size = Number(answer.headers["content-length"] ?? Number.NaN);
  return {
    digest: digest !== undefined && isDigest(digest) ? digest : undefined,
    size: Number.isSafeInteger(size) ? size : undefined,
  };
}
