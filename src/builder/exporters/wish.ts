/** What an output asks of an image's documents and layers: "compression=zstd", "annotation.title=App". BuildKit's names and meanings. */
import { EngineError } from "../../base/errors.ts";
import { parsePlatform } from "../../oci/platform.ts";
import type { Platform } from "../../oci/types.ts";

export type Compression = "uncompressed" | "gzip" | "zstd";

export interface ImageWish {
  /** Undefined: layers stay as they are. */
  readonly compression: Compression | undefined;
  /** Undefined: the compressor's own. */
  readonly level: number | undefined;
  /** Also layers of base images that are compressed already. */
  readonly force: boolean;
  /** OCI's media types, or Docker's. */
  readonly oci: boolean;
  readonly annotations: readonly Annotation[];
}

export interface Annotation {
  readonly place: AnnotationPlace;
  /** Undefined: every one. */
  readonly platform: Platform | undefined;
  readonly key: string;
  readonly value: string;
}

const PLACES = ["manifest", "manifest-descriptor", "index", "index-descriptor"] as const;

type AnnotationPlace = (typeof PLACES)[number];

/** The highest level of each; the lowest is 0. */
const LEVELS: Readonly<Record<Compression, number>> = { uncompressed: 0, gzip: 9, zstd: 22 };

/** Attributes of a wish; annotations are recognised by their beginning. */
export const WISH_ATTRIBUTES: readonly string[] = [
  "compression",
  "compression-level",
  "force-compression",
  "oci-mediatypes",
  "rewrite-timestamp",
];

const ANNOTATION = /^annotation(?:-(?<place>[a-z-]+))?(?:\[(?<platform>[^\]]*)\])?\.(?<key>.+)$/s;

export const isWishAttribute = (name: string): boolean => WISH_ATTRIBUTES.includes(name) || ANNOTATION.test(name);

/** Attributes that are no wish's are passed over. "invalid" with a hint for a value that there is none of; undefined where nothing is asked for. */
export function readWish(attributes: Readonly<Record<string, string>>): ImageWish | undefined {
  const asked = Object.entries(attributes).filter(([name]) => isWishAttribute(name));
  if (asked.length === 0) return undefined;
  const { compression: word, "compression-level": level } = attributes;
  const compression = word === undefined ? undefined : readCompression(word);
  const annotations = asked.flatMap(([name, value]) => readAnnotation(name, value) ?? []);
  readBoolean(attributes, "rewrite-timestamp", false);
  return Object.freeze({
    compression: compression ?? (level === undefined ? undefined : "gzip"),
    level: level === undefined ? undefined : readLevel(level, compression ?? "gzip"),
    force: readBoolean(attributes, "force-compression", false),
    oci: annotations.length > 0 || readBoolean(attributes, "oci-mediatypes", true),
    annotations,
  });
}

/** Of the stored image: what there is no such option of is "invalid". */
export function readImageOptions(attributes: Readonly<Record<string, string>>): ImageWish | undefined {
  const unknown = Object.keys(attributes).find((name) => !isWishAttribute(name));
  if (unknown === undefined) return readWish(attributes);
  throw new EngineError("invalid", `the image output has no option ${JSON.stringify(unknown)}`, {
    hint: `It has name, push, push-by-digest, name-canonical, ${WISH_ATTRIBUTES.join(", ")}, annotation.KEY.`,
  });
}

/** Times in new layers follow SOURCE_DATE_EPOCH wherever there is one: who wants them to stay must leave it out. */
export function refuseTimes(attributes: Readonly<Record<string, string>>, sourceDateEpoch: number | undefined): void {
  if (sourceDateEpoch === undefined || attributes["rewrite-timestamp"] === undefined) return;
  if (readBoolean(attributes, "rewrite-timestamp", true)) return;
  throw new EngineError("not-implemented", "rewrite-timestamp=false cannot be had together with SOURCE_DATE_EPOCH", {
    hint: "Leave SOURCE_DATE_EPOCH out, and files keep their times.",
  });
}

function readCompression(word: string): Compression {
  if (Object.hasOwn(LEVELS, word)) return word as Compression;
  const known = word === "estargz";
  throw new EngineError(known ? "not-implemented" : "invalid", `unsupported layer compression type ${word}`, {
    hint: `There are ${Object.keys(LEVELS).join(", ")}.`,
  });
}

function readLevel(text: string, compression: Compression): number {
  const most = LEVELS[compression];
  if (/^\d{1,2}$/.test(text) && Number(text) <= most) return Number(text);
  throw new EngineError("invalid", `invalid compression-level ${JSON.stringify(text)} of ${compression}`, {
    hint: `It is a number from 0 to ${most}.`,
  });
}

function readBoolean(attributes: Readonly<Record<string, string>>, name: string, standard: boolean): boolean {
  const text = attributes[name];
  if (text === undefined) return standard;
  // As Go's strconv.ParseBool; a bare name is a wish.
  if (/^(?:1|t|true|)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new EngineError("invalid", `non-bool value ${JSON.stringify(text)} specified for ${name}`, {
    hint: "It is true or false.",
  });
}

function readAnnotation(name: string, value: string): Annotation | undefined {
  const groups = ANNOTATION.exec(name)?.groups;
  if (groups === undefined) return undefined;
  const { place = "manifest", platform, key = "" } = groups;
  if (!PLACES.includes(place as AnnotationPlace))
    throw new EngineError("invalid", `unknown annotation type ${JSON.stringify(place)}`, {
      hint: `There are ${PLACES.join(", ")}.`,
    });
  return {
    place: place as AnnotationPlace,
    platform: platform === undefined ? undefined : parsePlatform(platform),
    key,
    value,
  };
}
