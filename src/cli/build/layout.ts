/** One image of an OCI layout, as an archive without names: what the daemon stores of it is for this build alone. */
import { createReadStream, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TarWriter } from "../../base/tar/writer.ts";

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: unknown;
  readonly annotations?: Readonly<Record<string, string>>;
}

const MAX_DOCUMENT = 4 << 20;

/** Throws when the folder is no layout or has not the image. */
export function layoutArchive(folder: string, reference: string): AsyncIterable<Uint8Array> {
  const index = readJson(join(folder, "index.json")) as { manifests?: readonly Descriptor[] };
  const chosen = choose(index.manifests ?? [], folder, reference);
  const writer = new TarWriter();
  void write(writer, folder, chosen).catch((error: unknown) =>
    writer.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return writer.stream as AsyncIterable<Uint8Array>;
}

function choose(manifests: readonly Descriptor[], folder: string, reference: string): Descriptor {
  const named = (descriptor: Descriptor) => descriptor.annotations?.["org.opencontainers.image.ref.name"];
  const fits = (descriptor: Descriptor) =>
    reference === ""
      ? named(descriptor) === undefined || named(descriptor) === "latest" || manifests.length === 1
      : descriptor.digest === reference || named(descriptor) === reference;
  const found = manifests.find(fits);
  if (found === undefined) throw new Error(`the OCI layout ${folder} has no image ${reference || "latest"}`);
  return found;
}

async function write(writer: TarWriter, folder: string, chosen: Descriptor): Promise<void> {
  const { annotations: _, ...bare } = chosen;
  await writer.add({ path: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}');
  await writer.add({ path: "index.json" }, JSON.stringify({ schemaVersion: 2, manifests: [bare] }));
  const written = new Set<string>();
  await writeBlobs(writer, folder, chosen, written);
  await writer.finish();
}

/** The blob and all that it names, as far as it is there. */
async function writeBlobs(
  writer: TarWriter,
  folder: string,
  { digest, mediaType = "" }: Descriptor,
  written: Set<string>,
): Promise<void> {
  if (written.has(digest) || !/^[a-z0-9]+:[0-9a-f]{32,}$/.test(digest)) return;
  written.add(digest);
  const path = `blobs/${digest.replace(":", "/")}`;
  const stat = statSync(join(folder, path), { throwIfNoEntry: false });
  if (stat === undefined) return;
  await writer.add({ path, size: stat.size }, createReadStream(join(folder, path), { highWaterMark: 1 << 18 }));
  if (!/manifest|index/.test(mediaType)) return;
  const document = readJson(join(folder, path)) as {
    manifests?: readonly Descriptor[];
    config?: Descriptor;
    layers?: readonly Descriptor[];
  };
  const below = [
    ...(document.manifests ?? []),
    ...(document.config ? [document.config] : []),
    ...(document.layers ?? []),
  ];
  for (const descriptor of below) await writeBlobs(writer, folder, descriptor, written);
}

function readJson(path: string): unknown {
  const { size } = statSync(path);
  if (size > MAX_DOCUMENT) throw new Error(`${path} is too large for a document of an OCI layout`);
  return JSON.parse(readFileSync(path, "utf8"));
}
