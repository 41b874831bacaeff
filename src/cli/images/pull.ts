/** Fetching an image, with its progress. */
import type { Context } from "../context.ts";
import { showProgress } from "../format/progress.ts";
import type { Output } from "../output.ts";
import { authHeader } from "./credentials.ts";
import { checkedName, splitImage } from "./name.ts";

export interface PullOptions {
  readonly platform?: string;
  readonly quiet?: boolean;
  readonly to: Output;
}

/** Without a tag or digest: every tag of the repository. */
export async function pullImage(context: Context, image: string, { platform, quiet, to }: PullOptions): Promise<void> {
  const { repo, tag } = splitImage(checkedName(image));
  const auth = authHeader(context, repo);
  const messages = await context.client.images.pull(repo, tag, { platform, auth });
  await showProgress(messages, quiet ? undefined : to);
}
