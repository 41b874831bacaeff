/** Gantry's own: manifests as registries have them, and lists of them. `gantry manifest` is their client. */
import { EngineError } from "../../base/errors.ts";
import { isIndexType } from "../../oci/media-types.ts";
import { familiarName, normalisedName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import { parseDescriptor } from "../../oci/validate.ts";
import { type ListMember, pushList } from "../../remote/manifest-list.ts";
import { anything } from "../json/schema.ts";
import { flag } from "../query.ts";
import { registryCredentials } from "../registry-auth.ts";
import { type Call, json, type Reply, type Route, route } from "../route.ts";

const query = { insecure: flag };

export const manifestRoutes: readonly Route[] = [
  route("GET", "/gantry/manifests/{name}", { query, handle: read }),
  route("POST", "/gantry/manifests/{name}", { query, handle: push }),
];

/** The platform of a single image comes from its configuration. */
async function read({
  engine,
  path,
  query: { insecure },
  request,
  signal,
}: Call<"/gantry/manifests/{name}", typeof query>): Promise<Reply> {
  const reference = withDefaultTag(parseReference(path.name));
  const credentials = registryCredentials(request);
  const repository = engine.remote.repository(reference, { credentials, insecure, access: "pull" });
  const { tag = "latest", digest } = reference;
  const { descriptor, bytes } = await repository.manifest(digest === undefined ? { tag } : { digest }, signal);
  const of = { ...reference, digest: descriptor.digest };
  const platform = isIndexType(descriptor.mediaType)
    ? undefined
    : (await engine.remote.distribution(of, { credentials, insecure, signal })).platforms[0];
  const Descriptor = { ...descriptor, ...(platform !== undefined && { platform }) };
  return json({ Ref: normalisedName(reference), Descriptor, Raw: bytes.toString("base64") });
}

async function push({
  engine,
  path,
  query: { insecure },
  request,
  json: body,
  signal,
}: Call<"/gantry/manifests/{name}", typeof query>): Promise<Reply> {
  const target = withDefaultTag(parseReference(path.name));
  if (target.digest !== undefined) throw new EngineError("invalid", "a manifest list is pushed under a tag");
  const members = membersOf(await body(anything));
  const credentials = registryCredentials(request);
  return {
    kind: "progress",
    run: async (write) => {
      const { digest, size } = await pushList(engine.remote, target, members, {
        credentials,
        insecure,
        signal,
        onPushed: (reference) =>
          write({ status: `Pushed ref ${familiarName(reference)} with digest: ${reference.digest}` }),
      });
      write({ status: digest, aux: { Tag: target.tag, Digest: digest, Size: size } });
    },
  };
}

function membersOf(body: unknown): ListMember[] {
  const list = (body as { Members?: unknown } | undefined)?.Members;
  if (!Array.isArray(list) || list.length > 1024)
    throw new EngineError("invalid", "invalid Members: expected an array");
  return list.map((item: unknown, at) => {
    const { Ref, Descriptor } = (item ?? {}) as Record<string, unknown>;
    if (typeof Ref !== "string") throw new EngineError("invalid", `invalid Members[${at}].Ref: expected a name`);
    const descriptor = parseDescriptor(Descriptor, `Members[${at}].Descriptor`);
    return { reference: { ...parseReference(Ref), digest: descriptor.digest }, descriptor };
  });
}
