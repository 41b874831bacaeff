/** `gantry manifest inspect`. */
import type { OCIDescriptor } from "../../api/types/image.ts";
import type { RegistryManifest } from "../../client/images.ts";
import { isIndexType, MEDIA } from "../../oci/media-types.ts";
import { type Command, ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import { fetchManifest, fullName, inOrder, listText, readList, readMember } from "../images/manifest-lists.ts";

export const command: Command = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  flags: [
    { name: "insecure", type: "bool", help: "Accept a registry without TLS, or with an unknown certificate" },
    { name: "verbose", short: "v", type: "bool", help: "Show layers and platforms too" },
  ],
  arguments: { min: 1, max: 2 },
  run: async (context, flags) => {
    const names = flags.positional.map((name) => fullName(name));
    const options = { verbose: flags.bool("verbose"), insecure: flags.bool("insecure") };
    const text =
      names.length === 2
        ? single(memberOf(context, names[0] ?? "", names[1] ?? ""), options.verbose)
        : await named(context, names[0] ?? "", options);
    context.out.write(`${text}\n`);
    return 0;
  },
};

interface Options {
  readonly verbose: boolean;
  readonly insecure: boolean;
}

/** A list that was begun here goes before what the registry has. */
async function named(context: Context, name: string, { verbose, insecure }: Options): Promise<string> {
  const begun = readList(context, name);
  if (begun.length > 0) {
    const mediaType = begun[0]?.Descriptor.mediaType === MEDIA.ociManifest ? MEDIA.ociIndex : MEDIA.dockerList;
    return verbose
      ? several(begun)
      : listText(
          mediaType,
          begun.map(({ Descriptor }) => Descriptor),
        );
  }
  const manifest = await fetchManifest(context, name, insecure);
  const mediaType = manifest.Descriptor.mediaType ?? "";
  if (!isIndexType(mediaType)) return single(manifest, verbose);
  const { manifests = [] } = JSON.parse(rawText(manifest)) as { manifests?: OCIDescriptor[] };
  if (!verbose) return listText(mediaType, manifests);
  const members = [];
  for (const Descriptor of manifests)
    members.push({
      ...(await fetchManifest(context, byDigest(name, Descriptor), insecure)),
      Ref: `${name}@${Descriptor.digest}`,
      Descriptor,
    });
  return several(members);
}

function byDigest(name: string, { digest = "" }: OCIDescriptor): string {
  return `${name.replace(/:[^/:]*$/, "")}@${digest}`;
}

function memberOf(context: Context, list: string, member: string): RegistryManifest {
  const manifest = readMember(context, list, member);
  if (manifest === undefined) throw new ExitError(1, `No such manifest: ${member}`);
  return manifest;
}

function single(manifest: RegistryManifest, verbose: boolean): string {
  const value: unknown = verbose ? whole(manifest) : JSON.parse(rawText(manifest));
  return JSON.stringify(value, null, "\t");
}

function several(manifests: readonly RegistryManifest[]): string {
  return JSON.stringify(manifests.map(whole), null, "\t");
}

/** As docker shows it: with the document itself, under a name that says its kind. */
function whole(manifest: RegistryManifest): unknown {
  const { Ref, Descriptor, Raw } = manifest;
  const kind = Descriptor.mediaType === MEDIA.dockerManifest ? "SchemaV2Manifest" : "OCIManifest";
  return { Ref, Descriptor: inOrder(Descriptor), Raw, [kind]: JSON.parse(rawText(manifest)) };
}

function rawText({ Raw }: RegistryManifest): string {
  return Buffer.from(Raw, "base64").toString();
}
