/** Into a container. */
import { type BigIntStats, createReadStream, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { basename, join, posix, resolve } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import type { TarInput } from "../../base/tar/tar.ts";
import { TarWriter } from "../../base/tar/writer.ts";
import type { Context } from "../context.ts";
import { absolute, type CopyOptions, followed, isFolder, namesContents, statOf } from "./container-path.ts";

/** Standard input is the archive; the path must be a folder. */
export async function streamIn(
  context: Context,
  container: string,
  path: string,
  { archive }: CopyOptions,
): Promise<void> {
  const target = await followed(context, container, absolute(path));
  const stat = await statOf(context, container, target);
  if (stat === undefined || !isFolder(stat)) throw new Error(`destination "${container}:${path}" must be a directory`);
  await context.client.containers.copyTo(container, target, process.stdin, {
    noOverwriteDirNonDir: true,
    copyUidGid: archive,
  });
}

export async function copyIn(
  context: Context,
  path: string,
  container: string,
  target: string,
  options: CopyOptions,
): Promise<void> {
  const source = statLocal(path, options.followLink || path.endsWith("/"));
  const { folder, name } = await placeFor(context, container, target, path, source.isDirectory());
  const writer = new TarWriter();
  const filled = fill(writer, resolve(path), name, options.followLink).catch((error: unknown) =>
    writer.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  await context.client.containers.copyTo(container, folder, writer.stream, {
    noOverwriteDirNonDir: true,
    copyUidGid: options.archive,
  });
  await filled;
}

function statLocal(path: string, follow: boolean): BigIntStats {
  try {
    return (follow ? statSync : lstatSync)(path, { bigint: true });
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new Error(`lstat ${resolve(path)}: no such file or directory`, { cause: error });
    throw error;
  }
}

/** The folder to unpack in, and the name that the source gets there; "": its contents. */
async function placeFor(
  context: Context,
  container: string,
  target: string,
  source: string,
  sourceIsFolder: boolean,
): Promise<{ folder: string; name: string }> {
  const path = await followed(context, container, absolute(target));
  const stat = await statOf(context, container, path);
  if (stat !== undefined && isFolder(stat))
    return { folder: path, name: namesContents(source) ? "" : basename(resolve(source)) };
  if (stat !== undefined && sourceIsFolder) throw new Error("cannot copy directory");
  if (stat === undefined && !sourceIsFolder && target.endsWith("/")) throw new Error("no such directory");
  const clean = posix.resolve("/", path);
  return { folder: posix.dirname(clean), name: posix.basename(clean) };
}

async function fill(writer: TarWriter, path: string, name: string, follow: boolean): Promise<void> {
  if (name === "") for (const child of readdirSync(path)) await add(writer, join(path, child), child, false);
  else await add(writer, path, name, follow);
  await writer.finish();
}

/** Sockets and devices are left out. */
async function add(writer: TarWriter, path: string, name: string, follow: boolean): Promise<void> {
  const stat = (follow ? statSync : lstatSync)(path, { bigint: true });
  const header: TarInput = {
    path: name,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
  };
  if (stat.isDirectory()) {
    await writer.add({ ...header, path: `${name}/`, type: "directory" });
    for (const child of readdirSync(path)) await add(writer, join(path, child), `${name}/${child}`, false);
  } else if (stat.isSymbolicLink()) await writer.add({ ...header, type: "symlink", linkPath: readlinkSync(path) });
  else if (stat.isFile()) await writer.add({ ...header, size: Number(stat.size) }, createReadStream(path));
}
