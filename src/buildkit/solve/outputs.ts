/** Where a build's result goes: the image store, registries, the client's disk; and what clients are told of it. */
import { EngineError } from "../../base/errors.ts";
import type { BuildResult, Exporter } from "../../builder/builder.ts";
import { makeExporter } from "../../builder/exporters/exporters.ts";
import { normalisedName, parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts";
import { sendFolder } from "../session/folder-send.ts";
import type { Session } from "../session/session.ts";
import type { SolveRequest } from "../wire/control.ts";
import { type Attributes, isTrue } from "./attributes.ts";

export interface Outputs {
  readonly tags: readonly string[];
  /** Repositories that the image gets its digest's name in. */
  readonly digestNames: readonly string[];
  /** What is asked of the stored image beside its names. */
  readonly imageOptions: Attributes;
  /** Whether the image is recorded. */
  readonly store: boolean;
  readonly exporters: readonly Exporter[];
  /** Names that are pushed when they are there. */
  readonly push: readonly string[];
}

/** Types of images that stay here. */
const STORED: ReadonlySet<string> = new Set(["image", "moby"]);

/** Of the stored image: what is acted on here. Others are the builder's, which refuses those that there are none of. */
const OWN: ReadonlySet<string> = new Set([
  "name",
  "push",
  "push-by-digest",
  "name-canonical",
  "store",
  "unpack",
  "registry.insecure",
  "tar",
]);

/** What clients send to every output, or have done themselves; BuildKit passes over it too. The epoch is the build's. */
const PASSED_OVER = /^(?:source-date-epoch|buildinfo(?:-attrs)?|attestation-prefix)$/;
/** Of files without an image. */
const OF_IMAGES = /^(?:name$|annotation[-.[])/;

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
  const imageOptions = optionsOf(stored);
  return {
    tags: [...new Set(tags)],
    digestNames: [...new Set(stored.flatMap(({ attrs }) => digestNamesOf(attrs, imageOptions)))],
    imageOptions,
    store: stored.length > 0,
    push: stored.filter(({ attrs }) => isTrue(attrs.push)).flatMap(({ attrs }) => namesOf(attrs)),
    exporters: wanted.flatMap(({ type, attrs }, index) =>
      STORED.has(type) ? [] : [sentTo(session, { type, attrs, id: String(index) })],
    ),
  };
}

const namesOf = ({ name = "" }: Attributes): string[] => name.split(",").filter((part) => part !== "");

function digestNamesOf(attrs: Attributes, options: Attributes): string[] {
  // What is pushed with a compression of its own is what is stored.
  if (!isTrue(attrs["name-canonical"]) && !(isTrue(attrs.push) && "compression" in options)) return [];
  return namesOf(attrs).map((name) => normalisedName(withoutTag(parseReference(name))));
}

const withoutTag = ({ domain, path }: Reference): Reference => ({ domain, path });

/** There is one stored image: outputs that want two are refused. */
function optionsOf(stored: readonly { readonly attrs: Attributes }[]): Attributes {
  const options: Record<string, string> = {};
  for (const { attrs } of stored)
    for (const [name, value] of Object.entries(attrs)) {
      if (OWN.has(name) || PASSED_OVER.test(name)) continue;
      if ((options[name] ?? value) !== value)
        throw new EngineError(
          "not-implemented",
          `the image outputs have ${name}=${value} and ${name}=${options[name]}`,
          {
            hint: "Build twice: the second build is cached.",
          },
        );
      options[name] = value;
    }
  // A push compresses what it sends, and so gives it another digest than the one it is named by.
  const isNamed = stored.some(({ attrs }) => isTrue(attrs.push) && isTrue(attrs["name-canonical"]));
  return isNamed && !("compression" in options || "compression-level" in options)
    ? { ...options, compression: "gzip" }
    : options;
}

const REFUSED: readonly { readonly name: string; readonly when: boolean; readonly hint: string }[] = [
  { name: "push-by-digest", when: true, hint: "Push the image by a tag." },
  { name: "registry.insecure", when: true, hint: "Name the registry by the daemon's --insecure-registry." },
  { name: "store", when: false, hint: "Images are stored; leave the option out." },
  { name: "unpack", when: false, hint: "Images are unpacked when they are used; leave the option out." },
];

function refuse(attrs: Attributes): void {
  for (const { name, when, hint } of REFUSED) {
    const text = attrs[name];
    if (text === undefined || isTrue(text) !== when) continue;
    throw new EngineError("not-implemented", `${name}=${text} of an image output is not supported`, { hint });
  }
}

interface Wanted {
  readonly type: string;
  readonly attrs: Attributes;
  /** By which the client knows where it goes. */
  readonly id: string;
}

function sentTo(session: () => Promise<Session>, { type, attrs, id }: Wanted): Exporter {
  const isFiles = type === "local" || type === "tar";
  const attributes = Object.fromEntries(
    Object.entries(attrs).filter(([name]) => !PASSED_OVER.test(name) && !(isFiles && OF_IMAGES.test(name))),
  );
  const exporter = makeExporter({ type, attributes }, async (product, signal) =>
    (await session()).send(product, id, signal),
  );
  if (type === "local") {
    const split = attrs["platform-split"] === undefined ? undefined : isTrue(attrs["platform-split"]);
    return {
      name: exporter.name,
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
  return exporter;
}

/** What `--metadata-file` and `--iidfile` are written from. An image is named by its id, as the API has it. */
export function responseOf(
  { images, target, metadata }: BuildResult,
  { tags, digestNames, store }: Outputs,
): Record<string, string> {
  const response: Record<string, string> = {};
  const [first] = images;
  if (store && first !== undefined) {
    response["containerimage.digest"] = first.id;
    response["containerimage.config.digest"] = first.id;
    const names = [...tags.map(shownName), ...digestNames.map((name) => `${name}@${target.digest}`)];
    if (names.length > 0) response["image.name"] = names.join(",");
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (store && name.startsWith("containerimage.")) continue;
    response[name] = typeof value === "string" ? value : Buffer.from(JSON.stringify(value)).toString("base64");
  }
  return response;
}

const shownName = (tag: string): string => normalisedName(withDefaultTag(parseReference(tag)));
