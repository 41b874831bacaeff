/** What a name means where files come from: FROM, COPY --from, --mount=from. */
import { EngineError } from "../../base/errors.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { familiarName, parseReference, tryParseReference, withDefaultTag } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import type { Source } from "./plan.ts";
import { type StageNames, stageAbove, stageNamed } from "./stage-names.ts";

export interface Surroundings {
  readonly stageNames: StageNames;
  readonly stageCount: number;
  /** Names of `--build-context`. */
  readonly contexts: readonly string[];
  /** Of an image. */
  readonly platform: Platform;
  /** The stage that reads. */
  readonly reader: number;
}

/** Of `FROM name`: only stages above count. Throws EngineError "invalid" for what is no image name either. */
export function resolveBase(name: string, { stageNames, reader, ...rest }: Surroundings): Source {
  return stageSource(stageAbove(stageNames, name, reader)) ?? resolveOther(name, rest);
}

/** Of `--from=name` or `--from=2`: a stage may also be the reader itself or one below, which is for the caller to refuse. */
export function resolveRead(name: string, { stageNames, stageCount, reader, ...rest }: Surroundings): Source {
  if (!/^\d{1,9}$/.test(name)) return stageSource(stageNamed(stageNames, name, reader)) ?? resolveOther(name, rest);
  if (Number(name) >= stageCount) throw new EngineError("invalid", `invalid stage index ${name}`);
  return { kind: "stage", index: Number(name) };
}

function stageSource(index: number | undefined): Source | undefined {
  return index === undefined ? undefined : { kind: "stage", index };
}

/** A named context, nothing at all ("scratch"), an image. */
function resolveOther(name: string, { contexts, platform }: Pick<Surroundings, "contexts" | "platform">): Source {
  const context = findContext(name, contexts, platform);
  if (context !== undefined) return { kind: "context", name: context };
  if (name === "scratch") return { kind: "scratch" };
  try {
    return { kind: "image", name, reference: withDefaultTag(parseReference(name)), platform };
  } catch (error) {
    throw new EngineError("invalid", `failed to parse stage name ${JSON.stringify(name)}: ${(error as Error).message}`);
  }
}

/** The key of `--build-context` that takes the place of a stage or an image; "alpine" stands for "docker.io/library/alpine:latest" too. */
export function findContext(name: string, contexts: readonly string[], platform: Platform): string | undefined {
  const plain = plainName(name);
  if (plain === "scratch" || plain === "context") return undefined;
  const exact = `${plain}::${formatPlatform(platform)}`;
  return contexts.find((key) => contextKey(key) === exact) ?? contexts.find((key) => contextKey(key) === plain);
}

function contextKey(context: string): string {
  const [name = "", platform] = context.split("::");
  return platform === undefined ? plainName(name) : `${plainName(name)}::${platform}`;
}

/** "alpine" for "docker.io/library/alpine:latest". */
function plainName(name: string): string {
  const reference = tryParseReference(name.toLowerCase());
  return reference === undefined ? name.toLowerCase() : familiarName(reference).replace(/:latest$/, "");
}
