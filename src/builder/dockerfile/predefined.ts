/** Arguments that no ARG has to declare. */
import { formatPlatform, normalisePlatform } from "../../oci/platform.ts";
import type { Platform } from "../../oci/types.ts";

const PROXIES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/** Given to RUN when given to the build; neither kept in the image nor part of what makes a step equal to another. */
export const PROXY_ARGS: ReadonlySet<string> = new Set(PROXIES.flatMap((name) => [name, name.toUpperCase()]));

/** What the platforms of a build set in the global scope; a stage sees them after `ARG NAME`. */
export function platformArgs(target: Platform, build: Platform, targetStage: string): Map<string, string> {
  return new Map([
    ...argsOf("BUILD", build),
    ...argsOf("TARGET", target),
    ["TARGETSTAGE", targetStage === "" ? "default" : targetStage],
  ]);
}

function argsOf(prefix: string, platform: Platform): [string, string][] {
  const { os, architecture, variant = "", "os.version": version = "" } = normalisePlatform(platform);
  return [
    [`${prefix}PLATFORM`, formatPlatform({ os, architecture, variant })],
    [`${prefix}OS`, os],
    [`${prefix}OSVERSION`, version],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, variant],
  ];
}

/** Build arguments that mean something to the builder itself. */
export function isBuilderArg(name: string): boolean {
  return name.startsWith("BUILDKIT_") || name === "SOURCE_DATE_EPOCH";
}
