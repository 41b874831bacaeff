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
export async function pushTag(context: Context, tag: string, quiet: boolean): Promise<Pushed | undefined> {
  const { repo, tag: version } = splitImage(withTag(tag));
  const auth = (await authHeader(context, repo)) ?? Buffer.from("{}").toString("base64url");
  let pushed: Pushed | undefined;
  await showProgress(
    await context.client.images.push(repo, version, { auth }),
    quiet ? undefined : context.err,
    (value) => {
      const { Digest, Size } = value as { readonly Digest?: string; readonly Size?: number };
      if (Digest !== undefined && Size !== undefined) pushed = { digest: Digest, size: Size };
    },
  );
  return pushed;
}
