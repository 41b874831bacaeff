/** Builds twice from the same inputs and says what is different. */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { decompress } from "../../base/decompress.ts";
import { readTar } from "../../base/tar/reader.ts";
import type { BuildEvent, Builder, BuildRequest, BuildResult, BuiltImage, ExportInput } from "../../builder/builder.ts";

export interface Verified {
  readonly result: BuildResult;
  /** One line each; empty when both builds made the same images. */
  readonly differences: readonly string[];
}

interface Options {
  readonly signal: AbortSignal;
  readonly onProgress: (event: BuildEvent) => void;
}

/** Differences that are told. */
const MAX_DIFFERENCES = 200;

/** The second build uses no cache and leaves nothing; while it is compared the first one's layers are held by its last exporter. */
export async function verify(builder: Builder, request: BuildRequest, options: Options): Promise<Verified> {
  let differences: readonly string[] = [];
  const compare = {
    name: "verifying by a second build",
    export: async (first: ExportInput) => {
      differences = await secondBuild(builder, request, options, first);
      for (const line of differences) first.log(line);
      return {};
    },
  };
  const exporters = [...(request.exporters ?? []), compare];
  const result = await builder.build({ ...request, exporters }, options);
  return { result, differences };
}

async function secondBuild(
  builder: Builder,
  request: BuildRequest,
  { signal }: Options,
  first: ExportInput,
): Promise<readonly string[]> {
  const found: string[] = [];
  const compare = {
    name: "comparing",
    export: async (second: ExportInput) => {
      await compareImages(first, second, (line) => {
        if (found.length < MAX_DIFFERENCES) found.push(line);
      });
      return {};
    },
  };
  const again = { ...request, noCache: true, store: false, tags: [], cacheTo: [], exporters: [compare] };
  await builder.build(again, { signal });
  return found;
}

async function compareImages(first: ExportInput, second: ExportInput, tell: (line: string) => void): Promise<void> {
  for (const [index, one] of first.result.images.entries()) {
    const other = second.result.images[index];
    if (other === undefined || one.id === other.id) continue;
    compareConfigs(one, other, tell);
    for (let layer = 0; layer < Math.max(one.layers.length, other.layers.length); layer++) {
      const [a, b] = [one.layers[layer], other.layers[layer]];
      if (a?.digest === b?.digest) continue;
      const name = `layer ${layer + 1}`;
      if (a === undefined || b === undefined)
        tell(`${name}: only the ${a === undefined ? "second" : "first"} build has it`);
      else compareFiles(name, await filesOf(first.layer(a.digest)), await filesOf(second.layer(b.digest)), tell);
    }
  }
}

/** Leaves of the configuration that differ, but for the list of layers. */
function compareConfigs(one: BuiltImage, other: BuiltImage, tell: (line: string) => void): void {
  const [a, b] = [leaves(one.config), leaves(other.config)];
  for (const path of new Set([...a.keys(), ...b.keys()]))
    if (a.get(path) !== b.get(path) && !path.startsWith("rootfs."))
      tell(`configuration ${path}: ${a.get(path) ?? "missing"} and ${b.get(path) ?? "missing"}`);
}

function leaves(value: unknown, path = "", into = new Map<string, string>()): Map<string, string> {
  if (value === null || typeof value !== "object") return into.set(path, JSON.stringify(value) ?? "undefined");
  for (const [name, below] of Object.entries(value)) leaves(below, path === "" ? name : `${path}.${name}`, into);
  return into;
}

type Facts = Readonly<Record<string, string>>;

async function filesOf(layer: Readable): Promise<Map<string, Facts>> {
  const files = new Map<string, Facts>();
  for await (const { header, body } of readTar(decompress(layer))) {
    const hash = createHash("sha256");
    if (header.type === "file") for await (const chunk of body() as AsyncIterable<Buffer>) hash.update(chunk);
    files.set(header.path, {
      type: header.type,
      mode: header.mode.toString(8),
      owner: `${header.uid}:${header.gid}`,
      time: String(header.mtime),
      link: header.linkPath,
      size: String(header.size),
      content: hash.digest("hex").slice(0, 12),
    });
  }
  return files;
}

function compareFiles(
  name: string,
  one: ReadonlyMap<string, Facts>,
  other: ReadonlyMap<string, Facts>,
  tell: (line: string) => void,
): void {
  for (const path of [...new Set([...one.keys(), ...other.keys()])].sort()) {
    const [a, b] = [one.get(path), other.get(path)];
    if (a === undefined || b === undefined) {
      tell(`${name}: ${path}: only the ${a === undefined ? "second" : "first"} build has it`);
      continue;
    }
    const different = Object.keys(a).filter((fact) => a[fact] !== b[fact]);
    if (different.length > 0)
      tell(`${name}: ${path}: ${different.map((fact) => `${fact} ${a[fact]} and ${b[fact]}`).join(", ")}`);
  }
}
