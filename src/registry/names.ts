/** The specification's grammars: repository names, tags, digests. */
import { type Digest, isDigest, parseDigest } from "../base/digest.ts";
import { RegistryError } from "./errors.ts";

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Of any algorithm, as the image specification writes them. */
const ANY_DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
/** What clients accept as a whole, host included; and what is a file's name here. */
const NAME_LIMIT = 255;
const DIGEST_LIMIT = 255;

export function isName(text: string): boolean {
  return text.length <= NAME_LIMIT && NAME.test(text);
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Throws NAME_INVALID. */
export function checkName(text: string): string {
  if (isName(text)) return text;
  throw new RegistryError("NAME_INVALID", `invalid repository name ${quote(text)}`, {
    detail: { name: text.slice(0, 300) },
    hint: "names are lower-case letters and digits, separated by / . _ __ or -, of at most 255 characters",
  });
}

/** A digest that can be stored. Throws DIGEST_INVALID for what is none, and for algorithms that cannot be verified here. */
export function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const why = ANY_DIGEST.test(text) && !/^sha(?:256|512):/.test(text) ? "unsupported algorithm in" : "invalid";
  throw new RegistryError("DIGEST_INVALID", `${why} digest ${quote(text)}`, {
    detail: { digest: text.slice(0, 300) },
    hint: "sha256 and sha512 are supported",
  });
}

/** A digest of any algorithm, as a subject may have it. Throws DIGEST_INVALID. */
export function checkAnyDigest(text: string): string {
  const known = /^sha(?:256|512):/.test(text);
  if (text.length <= DIGEST_LIMIT && (known ? isDigest(text) : ANY_DIGEST.test(text))) return text;
  throw new RegistryError("DIGEST_INVALID", `invalid digest ${quote(text)}`);
}

export type Reference =
  | { readonly kind: "tag"; readonly tag: string }
  | { readonly kind: "digest"; readonly digest: Digest };

/** A tag or a digest; undefined when the text is neither. */
export function parseReference(text: string): Reference | undefined {
  if (isDigest(text)) return { kind: "digest", digest: text };
  return isTag(text) ? { kind: "tag", tag: text } : undefined;
}

export type Algorithm = ReturnType<typeof parseDigest>["algorithm"];

export function algorithmOf(digest: Digest): Algorithm {
  return parseDigest(digest).algorithm;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 300));
}
