/** What `--output`, `--load` and `--push` ask for, and the writing of products on this side. */
import { closeSync, openSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { isatty } from "node:tty";
import type { WireTyped } from "../../api/types/build.ts";
import { explainDiskFull } from "../../base/disk-full.ts";
import { errnoOf } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { makeFolders } from "../../base/folders.ts";
import { parseCsv } from "../flags/values.ts";
import { fileOutput, type Output } from "../output.ts";
import { type ImageOutput, readAnnotations, readImageOutput } from "./image-output.ts";

/** A product that comes to this side, and where it goes. */
export interface ClientOutput {
  readonly wire: WireTyped;
  /** A file; a folder to unpack into; standard output. */
  readonly to: { readonly kind: "file" | "folder"; readonly path: string } | { readonly kind: "stdout" };
}

export interface Outputs {
  readonly client: readonly ClientOutput[];
  /** Whether the image is stored. */
  readonly store: boolean;
  readonly image: ImageOutput;
}

interface Wishes {
  readonly outputs: readonly string[];
  readonly annotations: readonly string[];
  readonly tags: readonly string[];
  readonly load: boolean;
  readonly push: boolean;
  readonly platforms: number;
}

/** Throws in Buildx's words. Without any output the image is stored. */
export function readOutputs({ outputs, load, push, platforms, ...words }: Wishes): Outputs {
  const specs = outputs.map(readOutput);
  const images = specs.filter(isImage);
  const annotations = readAnnotations(words.annotations);
  const image = readImageOutput({ outputs: images, annotations, tags: words.tags, push, platforms });
  const client = specs.filter((spec) => spec.type !== "cacheonly" && !isImage(spec));
  const written = client.map((spec) => clientOutput(spec, annotations));
  if (written.filter(({ to }) => to.kind === "stdout").length > 1)
    throw new Error("only one output can go to standard output");
  const store = specs.length === 0 || load || image.push !== undefined || images.length > 0;
  if (!store && words.annotations.length > 0 && !client.some(isLayout))
    throw new Error("annotations need an output that is an image");
  return { client: written, store, image };
}

/** Of `docker`, what has no file goes into the daemon's own store. */
const isImage = ({ type, attributes }: WireTyped): boolean =>
  type === "image" || type === "registry" || (type === "docker" && attributes.dest === undefined);

const isLayout = ({ type }: WireTyped): boolean => type === "docker" || type === "oci";

/** "out" is a folder, "-" a tar on standard output, else CSV. */
function readOutput(text: string): WireTyped {
  const fields = parseCsv(text);
  if (fields.length === 1 && fields[0] === text && !text.startsWith("type=")) {
    if (text === "-") return { type: "tar", attributes: { dest: "-" } };
    return { type: "local", attributes: { dest: text } };
  }
  const pairs = fields.map((field) => {
    const equals = field.indexOf("=");
    if (equals < 0) throw new Error(`invalid value ${field}: expected key=value`);
    return [optionName(field.slice(0, equals).trim()), field.slice(equals + 1)] as const;
  });
  const { type, ...attributes } = Object.fromEntries(pairs);
  if (!type) throw new Error("type is required for output");
  return { type, attributes };
}

/** Keys of annotations are what they are. */
const optionName = (text: string): string => (/^annotation[-[.]/i.test(text) ? text : text.toLowerCase());

function clientOutput(spec: WireTyped, annotations: WireTyped["attributes"]): ClientOutput {
  const { type } = spec;
  const attributes = isLayout(spec) ? { ...spec.attributes, ...annotations } : spec.attributes;
  const wire = { type, attributes };
  const { dest } = attributes;
  const folder = type === "local" || attributes.tar === "false";
  if (dest === undefined || dest === "") {
    if (folder) throw new Error(`dest is required for ${type} exporter`);
    return { wire, to: standardOutput(type) };
  }
  if (dest === "-") {
    if (folder) throw new Error(`dest cannot be stdout for ${type} exporter`);
    return { wire, to: standardOutput(type) };
  }
  const stat = statSync(dest, { throwIfNoEntry: false });
  if (folder && stat !== undefined && !stat.isDirectory()) throw new Error(`destination ${dest} is no folder`);
  if (!folder && stat?.isDirectory()) throw new Error(`destination file ${dest} is a directory`);
  return { wire, to: { kind: folder ? "folder" : "file", path: dest } };
}

function standardOutput(type: string): ClientOutput["to"] {
  if (isatty(1)) throw new Error(`dest file is required for ${type} exporter. refusing to write to console`);
  return { kind: "stdout" };
}

/** Post-condition: the product is where it goes, whole; a file appears under its name only then. */
export async function writeProduct(
  { to }: ClientOutput,
  product: AsyncIterable<Uint8Array>,
  out: Output,
): Promise<void> {
  if (to.kind === "stdout") {
    for await (const bytes of product) out.write(bytes);
    return;
  }
  try {
    if (to.kind === "file") await writeFile(to.path, product);
    else await unpack(to.path, product);
  } catch (error) {
    throw explainFull(error, to.path);
  }
}

async function unpack(folder: string, product: AsyncIterable<Uint8Array>): Promise<void> {
  makeFolders(folder);
  const { Extraction } = await import("../copy/extract.ts");
  await new Extraction(folder, false, "").run(product);
}

function explainFull(error: unknown, path: string): unknown {
  return explainDiskFull(error, `${path} could not be written`, "make room on its disk");
}

/** Post-condition: a file has the text, and only that; none is left half written. */
export function writeResult(path: string, text: string): void {
  const special = statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  try {
    if (special) writeFileSync(path, text);
    else writeFileAtomic(path, text);
  } catch (error) {
    throw explainFull(error, path);
  }
}

async function writeFile(path: string, product: AsyncIterable<Uint8Array>): Promise<void> {
  makeFolders(dirname(path));
  const special = statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  const target = special ? path : `${path}.tmp-${process.pid}`;
  const fd = openSync(target, "w", 0o644);
  try {
    const file = fileOutput(fd);
    for await (const bytes of product) file.write(bytes);
    if (target !== path) renameSync(target, path);
  } catch (error) {
    if (target !== path && errnoOf(error) !== "ENOENT") rmSync(target, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
