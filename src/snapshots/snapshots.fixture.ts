/** What the tests of snapshots share: a data root, layers made in code, a tree described entry by entry. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Digest, digestOf } from "../base/digest.ts";
import { encodeTarHeader, TAR_END, tarPadding } from "../base/tar/encode.ts";
import type { TarInput } from "../base/tar/tar.ts";
import { mountTable, unmountIfMounted } from "../kernel/mounts.ts";
import { deviceNumbers } from "../kernel/nodes.ts";
import { openStore } from "../store/open.ts";
import { makePaths, type Paths } from "../store/paths.ts";
import { readXattrs } from "./attributes.ts";
import type { DriverKind } from "./catalog.ts";
import { openSnapshots } from "./open.ts";
import type { LayerInput, Snapshots } from "./snapshots.ts";

export interface TestRoot extends AsyncDisposable {
  readonly path: string;
  readonly paths: Paths;
  readonly snapshots: Snapshots;
  /** Ends the snapshots and opens them again. */
  reopen(): Promise<void>;
}

export async function makeTestRoot(driver: DriverKind): Promise<TestRoot> {
  const path = mkdtempSync(join(tmpdir(), "gantry-snapshots-"));
  const paths = makePaths(join(path, "data"), join(path, "run"));
  let store = openStore(paths);
  let snapshots = await openSnapshots({ store, driver });
  const close = async () => {
    await snapshots.close();
    store.close();
  };
  return {
    path,
    paths,
    get snapshots() {
      return snapshots;
    },
    async reopen() {
      await close();
      store = openStore(paths);
      snapshots = await openSnapshots({ store });
    },
    async [Symbol.asyncDispose]() {
      await close();
      for (const { target } of mountTable().reverse())
        if (target.startsWith(`${path}/`)) unmountIfMounted(target, { detach: true });
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export type TestEntry = TarInput & { readonly data?: string | Buffer };

/** An archive in memory. A header's `size` may lie, for tests of what happens then. */
export function tarOf(entries: readonly TestEntry[]): Buffer {
  const parts = entries.flatMap(({ data = "", ...header }) => {
    const body = Buffer.from(data as string);
    return [encodeTarHeader({ size: body.length, ...header }), body, tarPadding(body.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

let layerCount = 0;

/** A layer's file below `folder`, and what `unpack` wants to hear about it. */
export function layerOf(folder: string, archive: Buffer, parent?: Digest, gzip = false): LayerInput {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `layer-${layerCount++}.tar`);
  const source = gzip ? gzipSync(archive, { level: 1 }) : archive;
  writeFileSync(path, source);
  return { diffId: digestOf(archive), digest: digestOf(source), parent, source: { path } };
}

/** One line for each entry: path, type and mode, owner, device, links, size, times, target or content, extended attributes. */
export function describeTree(root: string, { times = true }: { readonly times?: boolean } = {}): string[] {
  const lines: string[] = [];
  const walk = (path: string): void => {
    const full = root + path;
    const stats = lstatSync(full, { bigint: true });
    const { major, minor } = deviceNumbers(stats.rdev);
    const size = stats.isFile() ? `${stats.size} ${digestOf(readFileSync(full)).slice(7, 19)}` : "";
    const links = stats.isDirectory() ? "" : `x${stats.nlink}`;
    const target = stats.isSymbolicLink() ? readlinkSync(full) : "";
    const xattrs = [...readXattrs(full)].map(([name, value]) => `${name}=${value.toString("hex")}`).sort();
    const time = times ? stats.mtimeNs : "";
    const owner = `${stats.uid}:${stats.gid}`;
    lines.push(
      [path || "/", stats.mode.toString(8), owner, `${major}:${minor}`, links, size, time, target, ...xattrs].join(" "),
    );
    if (stats.isDirectory()) for (const name of readdirSync(full)) walk(`${path}/${name}`);
  };
  walk("");
  return lines.sort();
}
