import type { Context } from "../context.ts";
import { showProgress } from "../format/progress.ts";
import { authHeader } from "../images/credentials.ts";
import { splitImage, withTag } from "../images/name.ts";

/** What a registry has: compressed layers, so another manifest than the stored one. */
export interface Pushed {
  readonly digest: string;
  readonly size: number;
}

/** Sends what was built to its registry. Undefined when the daemon does not say what it sent. */
export function pushTag(context: Context, tag: string, quiet: boolean): Promise<Pushed | undefined> {
  const { repo, tag: version } = splitImage(withTag(tag));
  return push(context, { repo, version, byDigest: false }, quiet);
}

/** The registry's repository gets no tag. */
export function pushDigest(
  context: Context,
  repo: string,
  digest: string,
  quiet: boolean,
): Promise<Pushed | undefined> {
  return push(context, { repo, version: digest, byDigest: true }, quiet);
}

async function push(
  context: Context,
  {
    repo,
    version,
    byDigest,
  }: { readonly repo: string; readonly version: string | undefined; readonly byDigest: boolean },
  quiet: boolean,
): Promise<Pushed | undefined> {
  const auth = (await authHeader(context, repo)) ?? Buffer.from("{}").toString("base64url");
  let pushed: Pushed | undefined;
  await showProgress(
    await context.client.images.push(repo, version, { auth, byDigest }),
    quiet ? undefined : context.err,
    (value) => {
      const { Digest, Size } = value as { readonly Digest?: string; readonly Size?: number };
      if (Digest !== undefined && Size !== undefined) pushed = { digest: Digest, size: Size };
    },
  );
  return pushed;
}
