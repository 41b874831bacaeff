/** Where a build's result goes: the image store, registries, the client's disk; and what clients are told of it. */
import { EngineError } from "../../base/errors.ts";
import type { BuildResult, Exporter } from "../../builder/builder.ts";
import { makeExporter } from "../../builder/exporters/exporters.ts";
import { normalisedName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import { sendFolder } from "../session/folder-send.ts";
import type { Session } from "../session/session.ts";
import type { SolveRequest } from "../wire/control.ts";
import { type Attributes, isTrue } from "./attributes.ts";

export interface Outputs {
  readonly tags: readonly string[];
  /** Whether the image is recorded. */
  readonly store: boolean;
  readonly exporters: readonly Exporter[];
  /** Names that are pushed when they are there. */
  readonly push: readonly string[];
}

/** Types of images that stay here. */
const STORED: ReadonlySet<string> = new Set(["image", "moby"]);

/** Attributes of the client's, and of the builder's exporters, that mean something to them. */
const KEPT: ReadonlySet<string> = new Set(["name", "platform-split"]);

/** Throws for an exporter that there is none of. */
export function outputsOf(
  { exporters, exporterDeprecated, exporterAttrsDeprecated }: SolveRequest,
  session: () => Promise<Session>,
): Outputs {
  const wanted =
    exporters.length > 0 || exporterDeprecated === ""
      ? exporters
      : [{ type: exporterDeprecated, attrs: exporterAttrsDeprecated }];
  const stored = wanted.filter(({ type }) => STORED.has(type));
  for (const { attrs } of stored) refuse(attrs);
  const tags = stored.flatMap(({ attrs }) => namesOf(attrs));
  return {
    tags: [...new Set(tags)],
    store: stored.length > 0,
    push: stored.filter(({ attrs }) => isTrue(attrs.push)).flatMap(({ attrs }) => namesOf(attrs)),
    exporters: wanted.flatMap(({ type, attrs }, index) =>
      STORED.has(type) ? [] : [sentTo(session, { type, attrs, id: String(index) })],
    ),
  };
}

const namesOf = ({ name = "" }: Attributes): string[] => name.split(",").filter((part) => part !== "");

function refuse(attrs: Attributes): void {
  if (isTrue(attrs["push-by-digest"]))
    throw new EngineError("not-implemented", "push-by-digest is not supported", { hint: "Push the image by a tag." });
}

interface Wanted {
  readonly type: string;
  readonly attrs: Attributes;
  /** By which the client knows where it goes. */
  readonly id: string;
}

function sentTo(session: () => Promise<Session>, { type, attrs, id }: Wanted): Exporter {
  if (type === "local") {
    const split = attrs["platform-split"] === undefined ? undefined : isTrue(attrs["platform-split"]);
    return {
      name: "exporting to client directory",
      export: async (input) => {
        await sendFolder(await session(), { input, split, exporter: id });
        return {};
      },
    };
  }
  if (attrs.tar !== undefined && !isTrue(attrs.tar))
    throw new EngineError("not-implemented", `the ${type} output as a folder is not supported`, {
      hint: "Leave tar=false out, and unpack the archive.",
    });
  const attributes = Object.fromEntries(Object.entries(attrs).filter(([name]) => KEPT.has(name)));
  return makeExporter({ type, attributes: type === "tar" ? {} : attributes }, async (product, signal) =>
    (await session()).send(product, id, signal),
  );
}

/** What `--metadata-file` and `--iidfile` are written from. An image is named by its id, as the API has it. */
export function responseOf({ images, metadata }: BuildResult, { tags, store }: Outputs): Record<string, string> {
  const response: Record<string, string> = {};
  const [first] = images;
  if (store && first !== undefined) {
    response["containerimage.digest"] = first.id;
    response["containerimage.config.digest"] = first.id;
    if (tags.length > 0) response["image.name"] = tags.map(shownName).join(",");
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (store && name.startsWith("containerimage.")) continue;
    response[name] = typeof value === "string" ? value : Buffer.from(JSON.stringify(value)).toString("base64");
  }
  return response;
}

const shownName = (tag: string): string => normalisedName(withDefaultTag(parseReference(tag)));
