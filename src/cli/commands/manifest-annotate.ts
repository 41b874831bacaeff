/** `gantry manifest annotate`. */
import type { OCIPlatform } from "../../api/types/image.ts";
import { type Command, ExitError } from "../command.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { fullName, readMember, writeMember } from "../images/manifest-lists.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  flags: [
    { name: "arch", type: "string", help: "Architecture" },
    { name: "os", type: "string", help: "Operating system" },
    { name: "os-features", type: "strings", help: "Features of the operating system that it needs" },
    { name: "os-version", type: "string", help: "Version of the operating system" },
    { name: "variant", type: "string", help: "Variant of the architecture" },
  ],
  arguments: { min: 2, max: 2 },
  run: async (context, flags) => {
    const [first = "", second = ""] = flags.positional;
    const list = fullName(first, `annotate: error parsing name for manifest list ${first}: `);
    const member = fullName(second, `annotate: error parsing name for manifest ${second}: `);
    const manifest = readMember(context, list, member);
    if (manifest === undefined) throw new ExitError(1, `manifest for image ${second} does not exist in ${first}`);
    const platform = annotated(manifest.Descriptor.platform ?? {}, flags);
    writeMember(context, list, { ...manifest, Descriptor: { ...manifest.Descriptor, platform } });
    return 0;
  },
};

/** Operating systems and the architectures that there are of them. */
const KNOWN: Readonly<Record<string, string>> = {
  darwin: "386 amd64 arm arm64",
  dragonfly: "amd64",
  freebsd: "386 amd64 arm arm64",
  linux: "386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x",
  netbsd: "386 amd64 arm",
  openbsd: "386 amd64 arm arm64",
  plan9: "386 amd64",
  solaris: "amd64",
  windows: "386 amd64 arm arm64",
};

function annotated(platform: OCIPlatform, flags: ParsedFlags): OCIPlatform {
  const changed = {
    ...platform,
    ...(flags.text("os") !== "" && { os: flags.text("os") }),
    ...(flags.text("arch") !== "" && { architecture: flags.text("arch") }),
    ...(flags.text("variant") !== "" && { variant: flags.text("variant") }),
    ...(flags.text("os-version") !== "" && { "os.version": flags.text("os-version") }),
    ...(flags.list("os-features").length > 0 && { "os.features": [...flags.list("os-features")] }),
  };
  const { os = "", architecture = "" } = changed;
  if (!(Object.hasOwn(KNOWN, os) ? (KNOWN[os] ?? "") : "").split(" ").includes(architecture))
    throw new ExitError(1, `manifest entry for image has unsupported os/arch combination: ${os}/${architecture}`);
  return changed;
}
