/**
 * Products of a build other than the stored image. Each is a stream that goes to a sink as it is made; nothing is held or written here.
 *
 *   docker   an archive for `docker load`, which is an OCI layout at the same time; one image
 *   oci      an OCI layout as an archive; any number of platforms
 *   tar      the image's files, without layers
 *   local    the same, for a client that unpacks it
 */
import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { Exporter } from "../builder.ts";
import { type LayoutOptions, writeLayout } from "./layout.ts";
import { writeTree } from "./tree.ts";
import { isWishAttribute, readWish, WISH_ATTRIBUTES } from "./wish.ts";

/** Resolves when the product has arrived; rejects when it could not. */
export type Sink = (product: Readable, signal: AbortSignal) => Promise<void>;

export interface ExporterSpec {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

type Make = (attributes: ExporterSpec["attributes"], sink: Sink) => Exporter;

interface Kind {
  /** Attributes that it knows; those that only the client acts on too. */
  readonly attributes: readonly string[];
  /** It knows those of wish.ts too. */
  readonly isImage: boolean;
  readonly make: Make;
}

const KINDS: Readonly<Record<string, Kind>> = {
  docker: {
    attributes: ["dest", "name", "tar"],
    isImage: true,
    make: (attributes, sink) => {
      const layout = layoutOf(attributes);
      return {
        name: "exporting to docker image format",
        export: (input) => writeLayout({ input, sink, ...layout, docker: true }),
      };
    },
  },
  oci: {
    attributes: ["dest", "name", "tar"],
    isImage: true,
    make: (attributes, sink) => {
      const layout = layoutOf(attributes);
      return {
        name: "exporting to oci image format",
        export: (input) => writeLayout({ input, sink, ...layout, docker: false }),
      };
    },
  },
  tar: {
    attributes: ["dest", "platform-split"],
    isImage: false,
    make: (attributes, sink) => ({
      name: "exporting to client tarball",
      export: (input) => writeTree({ input, sink, split: splitOf(attributes) }),
    }),
  },
  local: {
    attributes: ["dest", "platform-split"],
    isImage: false,
    make: (attributes, sink) => ({
      name: "exporting to client directory",
      export: (input) => writeTree({ input, sink, split: splitOf(attributes) }),
    }),
  },
};

/** Throws "invalid" for a type or an attribute that there is none of. */
export function makeExporter({ type, attributes }: ExporterSpec, sink: Sink): Exporter {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined)
    throw new EngineError("invalid", `exporter ${JSON.stringify(type)} could not be found`, {
      hint: `There are image, ${Object.keys(KINDS).join(", ")}.`,
    });
  const isKnown = (name: string) => kind.attributes.includes(name) || (kind.isImage && isWishAttribute(name));
  const unknown = Object.keys(attributes).find((name) => !isKnown(name));
  if (unknown !== undefined) {
    const names = [...kind.attributes, ...(kind.isImage ? [...WISH_ATTRIBUTES, "annotation.KEY"] : [])];
    throw new EngineError("invalid", `the ${type} output has no option ${JSON.stringify(unknown)}`, {
      hint: `It has ${names.join(", ")}.`,
    });
  }
  return kind.make(attributes, sink);
}

/** Throws "invalid" for a wish that cannot be. */
function layoutOf(attributes: ExporterSpec["attributes"]): Pick<LayoutOptions, "names" | "unpacked" | "wish"> {
  const { name = "", tar } = attributes;
  return { names: name.split(",").filter(Boolean), unpacked: tar === "false", wish: readWish(attributes) };
}

/** Undefined: as many platforms say. */
function splitOf({ "platform-split": split }: ExporterSpec["attributes"]): boolean | undefined {
  return split === undefined ? undefined : /^(?:1|t|true)$/i.test(split);
}
