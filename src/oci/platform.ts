/** Platforms as text ("linux/arm64/v8") and as values; which image fits which machine. Names are Go's. */
import { arch } from "node:os";
import { EngineError } from "../base/errors.ts";
import type { Platform } from "./types.ts";

const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  x64: ["amd64"],
  i386: ["386"],
  i686: ["386"],
  ia32: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
  ppc64el: ["ppc64le"],
};

const OPERATING_SYSTEMS = new Set(["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "wasip1", "wasi"]);
const KNOWN_ARCHITECTURES = new Set(
  "amd64 386 arm arm64 ppc64 ppc64le mips mipsle mips64 mips64le riscv64 s390x loong64 wasm".split(" "),
);
const WORD = /^[A-Za-z0-9_.-]+$/;

/** The machine's own. */
export const HOST_PLATFORM: Platform = Object.freeze(normalisePlatform({ os: "linux", architecture: arch() }));

/** "os[/arch[/variant]]", or an architecture or an operating system alone. Throws "invalid". */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => WORD.test(part)))
    throw new EngineError("invalid", `${JSON.stringify(text)} is an invalid platform: must be os[/arch[/variant]]`);
  const [first = "", second, third] = parts.map((part) => part.toLowerCase());
  if (second === undefined) return parseWord(first, text);
  return normalisePlatform({ os: first === "macos" ? "darwin" : first, architecture: second, variant: third });
}

function parseWord(word: string, text: string): Platform {
  if (OPERATING_SYSTEMS.has(word)) return { ...HOST_PLATFORM, os: word };
  const platform = normalisePlatform({ os: HOST_PLATFORM.os, architecture: word });
  if (KNOWN_ARCHITECTURES.has(platform.architecture)) return platform;
  throw new EngineError(
    "invalid",
    `${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`,
  );
}

/** One spelling of each platform: aliases resolved; "arm64/v8" has no variant, "arm" alone is v7, "amd64/v1" has none. */
export function normalisePlatform(platform: Platform): Platform {
  const [architecture, implied] = ARCHITECTURES[platform.architecture] ?? [platform.architecture];
  const variant = normaliseVariant(architecture, platform.variant || implied);
  const { variant: _, ...rest } = platform;
  return { ...rest, architecture, ...(variant !== undefined && { variant }) };
}

function normaliseVariant(architecture: string, variant: string | undefined): string | undefined {
  const long = variant !== undefined && /^\d$/.test(variant) ? `v${variant}` : variant;
  if (architecture === "arm64") return long === "v8" ? undefined : long;
  if (architecture === "arm") return long ?? "v7";
  if (architecture === "amd64") return long === "v1" ? undefined : long;
  return long;
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== "").join("/");
}

/** Whether an image of `actual` is what `wanted` asks for (a wish without a variant takes any). */
export function platformMatches(wanted: Platform, actual: Platform): boolean {
  const [want, have] = [normalisePlatform(wanted), normalisePlatform(actual)];
  if (want.os !== have.os || want.architecture !== have.architecture) return false;
  if (wanted.variant === undefined || wanted.variant === "") return true;
  return want.variant === have.variant;
}

/** How well an image runs on a machine of platform `host`: 0 not at all, more is better. */
export function platformRank(host: Platform, actual: Platform): number {
  const [want, have] = [normalisePlatform(host), normalisePlatform(actual)];
  if (want.os !== have.os) return 0;
  if (want.architecture === have.architecture) return rankVariant(want.variant, have.variant);
  return (RUNS_TOO[want.architecture] ?? []).includes(have.architecture) ? 1 : 0;
}

/** What else a machine's kernel executes by itself. */
const RUNS_TOO: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

function rankVariant(want: string | undefined, have: string | undefined): number {
  if (want === have) return 100;
  const [mine, theirs] = [versionOf(want), versionOf(have)];
  return theirs < mine ? 50 + theirs : 2;
}

function versionOf(variant: string | undefined): number {
  return Number(/^v(\d+)/.exec(variant ?? "")?.[1] ?? 0);
}
