/** An image's files as one tar. */
import { closeSync, constants, openSync } from "node:fs";
import { TarWriter } from "../../base/tar/writer.ts";
import { archiveContent, type ContentOptions } from "../../kernel/archive-tree.ts";
import type { BuiltImage, ExportInput } from "../builder.ts";
import type { Sink } from "./exporters.ts";
import { sending } from "./sending.ts";

export interface TreeOptions {
  readonly input: ExportInput;
  readonly sink: Sink;
  /** A folder for each platform; by default when there are several. */
  readonly split: boolean | undefined;
}

/** Post-condition: the sink has every file of every image, sorted by name; times are clamped to SOURCE_DATE_EPOCH. */
export async function writeTree({ input, sink, split }: TreeOptions): Promise<Record<string, unknown>> {
  const { images } = input.result;
  const apart = split ?? images.length > 1;
  const writer = new TarWriter();
  await sending(
    writer,
    input.signal,
    (stream) => sink(stream, input.signal),
    async () => {
      for (const image of images) {
        const prefix = apart ? `${folderName(image)}/` : "";
        if (apart) await writer.add({ path: prefix, type: "directory" });
        await input.withTree(image, (root) => content(root, writer, { prefix, latest: latest(input) }));
      }
      await writer.finish();
    },
  );
  return {};
}

const folderName = ({ platform: { os, architecture, variant } }: BuiltImage): string =>
  [os, architecture, ...(variant ? [variant] : [])].join("_");

const latest = ({ sourceDateEpoch }: ExportInput): bigint | undefined =>
  sourceDateEpoch === undefined ? undefined : BigInt(sourceDateEpoch) * 1_000_000_000n;

async function content(root: string, writer: TarWriter, options: ContentOptions): Promise<void> {
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await archiveContent(fd, "/", writer, options);
  } finally {
    closeSync(fd);
  }
}
