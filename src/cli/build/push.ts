import type { Context } from "../context.ts";
import { showProgress } from "../format/progress.ts";
import { authHeader } from "../images/credentials.ts";
import { splitImage, withTag } from "../images/name.ts";

/** Sends what was built to its registry. */
export async function pushTag(context: Context, tag: string, quiet: boolean): Promise<void> {
  const { repo, tag: version } = splitImage(withTag(tag));
  const auth = (await authHeader(context, repo)) ?? Buffer.from("{}").toString("base64url");
  await showProgress(await context.client.images.push(repo, version, { auth }), quiet ? undefined : context.err);
}
