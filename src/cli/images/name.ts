/** Names of images as people write them. */
import { EngineError } from "../../base/errors.ts";
import { parseReference } from "../../oci/reference.ts";

/** The same name; throws docker's words when it is none. "" stands for no name. */
export function checkedName(image: string, refusal = ""): string {
  if (image === "") return image;
  try {
    parseReference(image);
    return image;
  } catch (error) {
    throw new EngineError("invalid", `${refusal}${(error as Error).message}`, { cause: error });
  }
}

/** With ":latest" when it has neither tag nor digest. */
export function withTag(image: string): string {
  const { tag } = splitImage(image);
  return tag === undefined ? `${image}:latest` : image;
}

/** The digest counts as the tag. */
export function splitImage(image: string): { repo: string; tag: string | undefined } {
  const at = image.indexOf("@");
  if (at >= 0) return { repo: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.lastIndexOf(":");
  if (colon <= image.lastIndexOf("/")) return { repo: image, tag: undefined };
  return { repo: image.slice(0, colon), tag: image.slice(colon + 1) };
}
