/** Out of a container. */
import { lstatSync, mkdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Context } from "../context.ts";
import { absolute, type CopyOptions, followed, isFolder, namesContents } from "./container-path.ts";
import { Extraction } from "./extract.ts";

export async function streamOut(
  context: Context,
  container: string,
  path: string,
  { followLink }: CopyOptions,
): Promise<void> {
  const source = followLink ? await followed(context, container, absolute(path)) : absolute(path);
  const { response } = await context.client.containers.copyFrom(container, source);
  for await (const bytes of response.body) context.out.write(bytes);
}

export async function copyOut(
  context: Context,
  container: string,
  path: string,
  target: string,
  options: CopyOptions,
): Promise<void> {
  const source = options.followLink ? await followed(context, container, absolute(path)) : absolute(path);
  const { stat, response } = await context.client.containers.copyFrom(container, source);
  try {
    const place = placeFor(
      basename(absolute(path).replace(/\/\.?$/, "")) || "/",
      isFolder(stat),
      namesContents(path),
      target,
    );
    await new Extraction(place, options.archive).run(response.body);
  } finally {
    response.close();
  }
}

/** The path that the archive's root becomes. */
function placeFor(name: string, folder: boolean, contents: boolean, target: string): string {
  const existing = statSync(target, { throwIfNoEntry: false });
  if (existing === undefined) {
    if (!folder && target.endsWith("/")) throw new Error(`destination directory must exist: ${target}`);
    const parent = join(target, "..");
    if (lstatSync(parent, { throwIfNoEntry: false }) === undefined)
      throw new Error(`invalid output path: directory ${JSON.stringify(parent)} does not exist`);
    return target;
  }
  if (!existing.isDirectory()) {
    if (folder) throw new Error("cannot copy directory");
    return target;
  }
  if (contents) {
    mkdirSync(target, { recursive: true });
    return target;
  }
  return name === "/" ? target : join(target, name);
}
