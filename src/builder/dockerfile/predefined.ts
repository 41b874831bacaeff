/** Arguments that no ARG has to declare. */
import { formatPlatform, normalisePlatform } from "../../oci/platform.ts";
import type { Platform } from "../../oci/types.ts";
import type { Arg, Dockerfile, Position, Word } from "./language.ts";

const PROXIES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/** Given to RUN when given to the build; neither kept in the image nor part of what makes a step equal to another. */
export const PROXY_ARGS: ReadonlySet<string> = new Set(PROXIES.flatMap((name) => [name, name.toUpperCase()]));

/** What the platforms of a build set in the global scope; a stage sees them after `ARG NAME`. */
function platformArgs(target: Platform, build: Platform, targetStage: string): Map<string, string> {
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

interface GlobalScope {
  readonly platforms: { readonly target: Platform; readonly build: Platform; readonly targetStage: string };
  readonly buildArgs: ReadonlyMap<string, string>;
  /** In the order of the file: each sees those before it. */
  readonly declared: readonly Arg[];
  readonly expandWord: (word: Word, end: Position, env: ReadonlyMap<string, string>) => string;
}

/** The values that FROM sees. */
export function readGlobalArgs({ platforms, buildArgs, declared, expandWord }: GlobalScope): Map<string, string> {
  const args = platformArgs(platforms.target, platforms.build, platforms.targetStage);
  for (const name of args.keys()) args.set(name, buildArgs.get(name) ?? args.get(name) ?? "");
  for (const { args: declarations, range } of declared)
    for (const { name, value } of declarations) {
      const given = buildArgs.get(name.text);
      const text = given ?? (value === undefined ? undefined : expandWord(value, range.end, args));
      if (text !== undefined) args.set(name.text, text);
    }
  return args;
}

/** Build arguments that mean something without an ARG. */
const KNOWN = /^(?:BUILDKIT_.*|SOURCE_DATE_EPOCH|(?:TARGET|BUILD)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE))$/s;

/** Those that nothing in the file declares and that are nobody's own. */
export function unusedArgs({ globalArgs, stages }: Dockerfile, buildArgs: ReadonlyMap<string, string>): string[] {
  const inStages = stages.flatMap(({ instructions }) => instructions.filter(({ kind }) => kind === "ARG") as Arg[]);
  const declared = new Set([...globalArgs, ...inStages].flatMap(({ args }) => args.map(({ name }) => name.text)));
  return [...buildArgs.keys()].filter((name) => !declared.has(name) && !PROXY_ARGS.has(name) && !KNOWN.test(name));
}
