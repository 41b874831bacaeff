/** What `--output type=image`, `registry`, and `docker` without a file, `--annotation` and `--push` ask of the image that the daemon stores. */
import type { WireTyped } from "../../api/types/build.ts";
import { EngineError } from "../../base/errors.ts";
import { splitImage } from "../images/name.ts";

export interface ImageOutput {
  /** Tags. */
  readonly names: readonly string[];
  /** Repositories: the image gets its digest's name in each. */
  readonly digestNames: readonly string[];
  /** As WireBuild.imageOptions. */
  readonly options: Readonly<Record<string, string>>;
  /** What is sent to registries afterwards: every tag, every digest's name. */
  readonly push: "tags" | "digests" | undefined;
}

export interface ImageWishes {
  readonly outputs: readonly WireTyped[];
  /** Of `--annotation`, as attributes. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Of `--tag`. */
  readonly tags: readonly string[];
  readonly push: boolean;
  readonly platforms: number;
}

/** Attributes that this side acts on; others are the daemon's. */
const OWN = ["name", "push", "push-by-digest", "name-canonical", "store", "unpack", "registry.insecure", "tar"];

/** Throws in BuildKit's words for what cannot be. */
export function readImageOutput({ outputs, annotations, tags, push, platforms }: ImageWishes): ImageOutput {
  const attributes = merged(outputs);
  const asked = (name: string, standard = false) => boolean(attributes, name, standard);
  for (const name of ["store", "unpack"])
    if (!asked(name, true)) throw refused(`${name}=false`, "Images are stored, and unpacked when they are used.");
  if (asked("registry.insecure"))
    throw refused("registry.insecure=true", "Name the registry by the daemon's --insecure-registry.");
  const names = [...tags, ...(attributes.name ?? "").split(",").filter(Boolean)];
  const pushes = push || outputs.some(({ type }) => type === "registry") || asked("push");
  if (pushes && names.length === 0) throw new Error("tag is needed when pushing to registry");
  const byDigest = asked("push-by-digest");
  if (byDigest) refuseTags(names);
  const given = Object.entries({ ...attributes, ...annotations }).filter(([name]) => !OWN.includes(name));
  const options = Object.fromEntries(given);
  const canonical = byDigest || asked("name-canonical");
  // A push compresses what it sends, and so gives it another digest, unless it is named by its digest already.
  const isAsked = "compression" in options || "compression-level" in options;
  if (pushes && !isAsked && (canonical || platforms > 1)) options.compression = "gzip";
  return {
    names: byDigest ? [] : names,
    digestNames: canonical || (pushes && isAsked) ? names.map((name) => splitImage(name).repo) : [],
    options,
    push: pushes ? (byDigest ? "digests" : "tags") : undefined,
  };
}

/** There is one stored image: outputs that want two are refused. */
function merged(outputs: readonly WireTyped[]): Readonly<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const { type, attributes } of outputs)
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "name" && all.name !== undefined) all.name += `,${value}`;
      else if (all[name] !== undefined && all[name] !== value)
        throw refused(
          `${name}=${value} of the ${type} output beside ${name}=${all[name]}`,
          "Build twice: the second build is cached.",
        );
      else all[name] = value;
    }
  return all;
}

function refuseTags(names: readonly string[]): void {
  const tagged = names.find((name) => splitImage(name).tag !== undefined);
  if (tagged === undefined) return;
  throw new EngineError("invalid", `can't push tagged ref ${tagged} by digest`, {
    hint: "Give the name without a tag.",
  });
}

/** As Go's strconv.ParseBool. */
function boolean(attributes: Readonly<Record<string, string>>, name: string, standard: boolean): boolean {
  const text = attributes[name];
  if (text === undefined) return standard;
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new EngineError("invalid", `non-bool value specified for ${name}`, { hint: "It is true or false." });
}

function refused(what: string, hint: string): EngineError {
  return new EngineError("not-implemented", `the image output has no ${what}`, { hint });
}

const TYPE = /^(?<type>[a-z-]+)(?:\[(?<platform>[A-Za-z0-9_/-]+)\])?$/;

/** "key=value", "index,manifest[linux/amd64]:key=value": as attributes of an output. Throws in Buildx's words. */
export function readAnnotations(words: readonly string[]): Readonly<Record<string, string>> {
  const pairs = words.flatMap((word): (readonly [string, string])[] => {
    const equals = word.indexOf("=");
    if (equals < 0) throw new Error(`invalid annotation ${JSON.stringify(word)}, expected key=value`);
    const [left, value] = [word.slice(0, equals), word.slice(equals + 1)];
    const colon = left.indexOf(":");
    if (colon < 0) return [[`annotation.${left}`, value]];
    const key = left.slice(colon + 1);
    return left
      .slice(0, colon)
      .split(",")
      .map((type): readonly [string, string] => {
        const groups = TYPE.exec(type)?.groups;
        if (groups === undefined)
          throw new Error(
            `invalid annotation type ${JSON.stringify(type)}, expected type and optional platform in square brackets`,
          );
        const { type: place, platform } = groups;
        return [`annotation-${place}${platform === undefined ? "" : `[${platform}]`}.${key}`, value];
      });
  });
  return Object.fromEntries(pairs);
}
