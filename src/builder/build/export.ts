import { errorKind } from "../../base/errors.ts";
import type { Lease } from "../../images/images.ts";
import { familiarName, normalisedName, parseReference, type Reference } from "../../oci/reference.ts";
import type { Descriptor } from "../../oci/types.ts";
import type { BuildRequest, BuildResult, BuiltImage, ExportInput } from "../builder.ts";
import type { Warning } from "../dockerfile/language.ts";
import { type Dressed, dress, undressed } from "../exporters/dress.ts";
import { readImageOptions } from "../exporters/wish.ts";
import type { BuildEvent } from "../progress.ts";
import type { Toolkit } from "../toolkit.ts";
import { shownWork } from "./shown.ts";

export interface ExportParts {
  readonly tools: Toolkit;
  readonly request: BuildRequest;
  readonly lease: Lease;
  readonly names: readonly Reference[];
  readonly signal: AbortSignal;
  readonly onProgress: (event: BuildEvent) => void;
  readonly warnings: readonly Warning[];
}

/** Stores the images, then gives them to the exporters, one after another. */
export async function exportResult(parts: ExportParts, images: readonly BuiltImage[]): Promise<BuildResult> {
  const { request, warnings } = parts;
  const plain = undressed(images);
  let result: Dressed = plain;
  if (request.store !== false) {
    await shownWork(parts, "exporting to image", async (log) => {
      result = await dress({ ...parts, log }, images, readImageOptions(request.imageOptions ?? {}));
      await store(parts, result, [...parts.names, ...digestNames(request, result)]);
      for (const { id } of images) log(`writing image ${id}`);
      for (const name of parts.names) log(`naming to ${normalisedName(name)}`);
    });
    tellTags(parts, images[0] as BuiltImage);
  }
  let metadata: Readonly<Record<string, unknown>> = {};
  for (const exporter of request.exporters ?? []) {
    const told = await shownWork(parts, exporter.name, (log) => exporter.export(inputFor(parts, plain, log)));
    metadata = { ...metadata, ...told };
  }
  const { target } = result;
  return Object.freeze({ images: result.images, target, metadata, warnings });
}

function digestNames({ digestNames: repositories = [] }: BuildRequest, { target }: Dressed): Reference[] {
  return repositories.map((name) => {
    const { domain, path } = parseReference(name);
    return { domain, path, digest: target.digest };
  });
}

async function store(
  { tools, lease, signal }: ExportParts,
  { images, target, index }: Dressed,
  names: readonly Reference[],
): Promise<void> {
  const { content } = tools;
  if (isRecorded(tools, images, target, names)) return;
  for (const image of images) {
    await lease.hold(image.layers.map(({ digest }) => digest));
    await lease.store(() => content.put(image.configBytes));
    await lease.store(() => content.put(image.manifestBytes));
  }
  if (index !== undefined) await lease.store(() => content.put(index));
  await content.sync(images.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
  await tools.images.record({ target, names, signal });
}

function tellTags({ tools, names }: ExportParts, { id, config }: BuiltImage): void {
  for (const name of names) {
    const attributes = { ...config.config?.Labels, name: familiarName(name) };
    tools.events.publish({ type: "image", action: "tag", id, attributes });
  }
}

/** The very same, under these names: nothing is written then, which would wait for the disk. */
function isRecorded(
  { images: known }: Toolkit,
  images: readonly BuiltImage[],
  target: Descriptor,
  names: readonly Reference[],
): boolean {
  const wanted = names.length > 0 ? names.map(familiarName) : images.map(({ id }) => id);
  try {
    return wanted.every((name) => known.target(name).descriptor.digest === target.digest);
  } catch (error) {
    if (errorKind(error) === "not-found") return false;
    throw error;
  }
}

function inputFor(
  { tools, lease, request, names, signal }: ExportParts,
  result: Dressed,
  log: (text: string) => void,
): ExportInput {
  return {
    result,
    tags: names.map(familiarName),
    sourceDateEpoch: request.sourceDateEpoch,
    signal,
    dress: (wish) => dress({ tools, lease, signal, log }, result.images, wish),
    layer: (digest) => tools.content.stream(digest),
    withTree: ({ chainId }, read) =>
      chainId === undefined ? read(tools.store.paths.emptyFolder) : tools.snapshots.withLayer(chainId, read),
    log,
  };
}
