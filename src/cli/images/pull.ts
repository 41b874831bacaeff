/** Fetching an image, with its progress. */
import type { Context } from "../context.ts";
import { showProgress } from "../format/progress.ts";
import type { Output } from "../output.ts";
import { authHeader } from "./credentials.ts";

export interface PullOptions {
  readonly platform?: string;
  readonly quiet?: boolean;
  readonly to: Output;
}

export async function pullImage(context: Context, image: string, { platform, quiet, to }: PullOptions): Promise<void> {
  const { repo, tag } = splitImage(withTag(image));
  const auth = await authHeader(context, repo);
  const messages = await context.client.images.pull(repo, tag, { platform, auth });
  await showProgress(messages, quiet ? undefined : to);
}

/** With ":latest" when it has neither tag nor digest. */
export function withTag(image: string): string {
  const { tag } = splitImage(image);
  return tag === undefined ? `${image}:latest` : image;
}

/** The digest counts as the tag. */
export function splitImage(image: string): { repo: string; tag: string | undefined } {
  const at = image.indexOf("@");
  if (at >= 0) return { repo: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.lastIndexOf(":");
  if (colon <= image.lastIndexOf("/")) return { repo: image, tag: undefined };
  return { repo: image.slice(0, colon), tag: image.slice(colon + 1) };
}
