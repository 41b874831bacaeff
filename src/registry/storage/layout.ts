/**
 * A registry's root, drawn once. Nothing else makes a path in it.
 *
 *   <root>
 *     registry.lock                                 held by the writer
 *     control.sock                                  the writer's, for commands on this machine
 *     token.key                                     signs tokens; for all processes of this root
 *     blobs/<algorithm>/<2 hex>/<hex>               immutable, read-only, verified; manifests too
 *     unsynced/<algorithm>-<hex>                    the machine's boot: this blob may not be on the disk yet
 *     uploads/<uuid>-<repository's hash>            bytes so far; renamed to its blob when complete
 *     repositories/<name, + for />/
 *       blobs/<algorithm>/<hex>                     empty: a link. Its time: when a push last asked for it
 *       manifests/<algorithm>/<hex>                 JSON: media type, size, time
 *       referrers/<algorithm>/<encoded>/<algorithm>-<hex>    JSON: a descriptor, by the subject's digest
 *       tags/<tag>                                  JSON: digest, time
 *     webhooks/<hash of the URL>/<time>-….json      events that a webhook has not taken yet
 *     tmp/                                          emptied by the next writer
 *
 * Every file appears by a rename or is empty, and is replaced by a rename or removed: whoever reads needs no lock. A repository's
 * folder is one level deep ("+" is in no name), so that listing repositories is reading one folder.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Digest, parseDigest } from "../../base/digest.ts";
import { isName } from "../names.ts";

export interface Layout {
  readonly root: string;
  readonly lock: string;
  readonly tokenKey: string;
  readonly control: string;
  readonly blobs: string;
  readonly unsyncedFolder: string;
  readonly uploads: string;
  readonly repositories: string;
  readonly webhooks: string;
  readonly tmp: string;
  blob(digest: Digest): string;
  unsynced(digest: Digest): string;
  upload(id: string, name: string): string;
  repository(name: string): string;
  blobLinks(name: string, algorithm: string): string;
  blobLink(name: string, digest: Digest): string;
  manifests(name: string, algorithm: string): string;
  manifest(name: string, digest: Digest): string;
  tags(name: string): string;
  tag(name: string, tag: string): string;
  /** `subject` may be of any algorithm. */
  referrers(name: string, subject: string): string;
  referrer(name: string, subject: string, digest: Digest): string;
}

export function makeLayout(root: string): Layout {
  const at = (...parts: string[]) => join(root, ...parts);
  const repository = (name: string, ...parts: string[]) => at("repositories", folderOf(name), ...parts);
  const byDigest = (name: string, kind: string, digest: Digest) => {
    const { algorithm, hex } = parseDigest(digest);
    return repository(name, kind, algorithm, hex);
  };
  return Object.freeze({
    root,
    lock: at("registry.lock"),
    tokenKey: at("token.key"),
    control: at("control.sock"),
    blobs: at("blobs"),
    unsyncedFolder: at("unsynced"),
    uploads: at("uploads"),
    repositories: at("repositories"),
    webhooks: at("webhooks"),
    tmp: at("tmp"),
    blob: (digest: Digest) => {
      const { algorithm, hex } = parseDigest(digest);
      return at("blobs", algorithm, hex.slice(0, 2), hex);
    },
    unsynced: (digest: Digest) => at("unsynced", digest.replace(":", "-")),
    upload: (id: string, name: string) => at("uploads", `${id}-${nameHash(name)}`),
    repository: (name: string) => repository(name),
    blobLinks: (name: string, algorithm: string) => repository(name, "blobs", algorithm),
    blobLink: (name: string, digest: Digest) => byDigest(name, "blobs", digest),
    manifests: (name: string, algorithm: string) => repository(name, "manifests", algorithm),
    manifest: (name: string, digest: Digest) => byDigest(name, "manifests", digest),
    tags: (name: string) => repository(name, "tags"),
    tag: (name: string, tag: string) => repository(name, "tags", tag),
    referrers: (name: string, subject: string) => repository(name, "referrers", ...subject.split(":")),
    referrer: (name: string, subject: string, digest: Digest) =>
      repository(name, "referrers", ...subject.split(":"), digest.replace(":", "-")),
  });
}

function folderOf(name: string): string {
  return name.replaceAll("/", "+");
}

/** Undefined for a folder that is no repository's. */
export function nameOfFolder(folder: string): string | undefined {
  const name = folder.replaceAll("+", "/");
  return isName(name) ? name : undefined;
}

/** Ties an upload to its repository without a second file. */
function nameHash(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 16);
}
