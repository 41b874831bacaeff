/** From the words of `gantry build` to its end. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { WireBuild, WireBuildFailure, WireBuildResult, WireWarning } from "../../api/types/build.ts";
import { EngineError } from "../../base/errors.ts";
import { type BuildCallOptions, BuildFailedError } from "../../client/builds.ts";
import { normalisedName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import { ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { splitImage } from "../images/name.ts";
import { terminalSize } from "../session/terminal.ts";
import { answersOf } from "./answers.ts";
import { type Outputs, readOutputs, writeResult } from "./outputs.ts";
import { failureText, makeDisplay } from "./progress.ts";
import type { Display } from "./progress-text.ts";
import type { Pushed } from "./push.ts";
import { type NamedSource, namedSources, optionsFrom } from "./request.ts";
import { readAgents, readSecrets } from "./secrets.ts";
import { mainSource } from "./source.ts";

interface Prepared {
  readonly request: WireBuild;
  readonly call: Pick<BuildCallOptions, "answers" | "registryConfig">;
  readonly outputs: Outputs;
  readonly display: Display;
}

/** Exit codes of a build that was interrupted, as shells have it. */
const INTERRUPTED = 130;

export async function runBuild(context: Context, flags: ParsedFlags): Promise<number> {
  const kept = keptStep(flags);
  if (kept !== undefined) return await openShell(context, flags, kept);
  const prepared = await prepare(context, flags);
  const controller = new AbortController();
  const stop = () => controller.abort(new EngineError("cancelled", "the build was interrupted"));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    if (checks(flags)) return await check(context, prepared, controller.signal);
    return await build(context, flags, prepared, controller.signal);
  } catch (error) {
    prepared.display.finish();
    if (controller.signal.aborted)
      throw new ExitError(INTERRUPTED, "ERROR: failed to build: the build was interrupted");
    if (!(error instanceof BuildFailedError)) throw error;
    return await failed(context, flags, error.failure);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

async function prepare(context: Context, flags: ParsedFlags): Promise<Prepared> {
  const [place = "."] = flags.positional;
  refuseUnknown(flags);
  // Who looks at it after a build that failed must not find the ID of an older one.
  if (flags.text("iidfile") !== "" && !checks(flags)) rmSync(flags.text("iidfile"), { force: true });
  const shown = flags.changed("progress") ? flags.text("progress") : context.env.BUILDKIT_PROGRESS;
  const mode = flags.bool("quiet") || checks(flags) ? "quiet" : shown || "auto";
  const display = await makeDisplay(mode, context.err, terminalSize);
  const outputs = readOutputs({
    outputs: flags.list("output"),
    annotations: flags.list("annotation"),
    tags: flags.list("tag"),
    load: flags.bool("load"),
    push: flags.bool("push"),
    platforms: flags.list("platform").length,
  });
  const options = optionsFrom(flags, context.env, outputs);
  const named = namedSources(flags.list("build-context"));
  const secrets = readSecrets(flags.list("secret"), context.env);
  const agents = await readAgents(flags.list("ssh"), context.env);
  const { dockerfile, source } = await mainSource(place, flags.text("file"), () => process.stdin);
  const sources = new Map<string, NamedSource>([
    ...named,
    ...(source === undefined ? [] : [["", { wire: source.wire, source }] as const]),
  ]);
  const listsAhead = !checks(flags);
  const answers = answersOf({ sources, secrets, agents, outputs: outputs.client, out: context.out, listsAhead });
  const request = {
    ...options,
    dockerfile,
    context: source?.wire,
    contexts: Object.fromEntries([...named].map(([name, { wire }]) => [name, wire])),
    secrets: [...secrets.keys()],
    ssh: [...agents.keys()],
  };
  return { request, call: { answers, registryConfig: await credentialsOf(context) }, outputs, display };
}

const checks = (flags: ParsedFlags): boolean => flags.bool("check") || flags.text("call") === "check";

/** Pipelines switch attestations off; who wants some must know that there are none. */
function refuseUnknown(flags: ParsedFlags): void {
  const wanted = [flags.text("provenance"), flags.text("sbom"), ...flags.list("attest")];
  if (wanted.some((value) => value !== "" && value !== "false" && !/(?:^|,)disabled=true/.test(value)))
    throw new EngineError("not-implemented", "attestations are not supported", {
      hint: "Build without --attest, --sbom and --provenance, or with --provenance=false.",
    });
  if (!["build", "check"].includes(flags.text("call")))
    throw new EngineError("invalid", `invalid call: ${flags.text("call")} (build, check)`);
}

async function build(
  context: Context,
  flags: ParsedFlags,
  { request, call, outputs, display }: Prepared,
  signal: AbortSignal,
): Promise<number> {
  const { builds } = context.client;
  const options = { ...call, signal, onEvent: (event: Parameters<Display["event"]>[0]) => display.event(event) };
  const verifying = flags.bool("verify");
  const result = verifying ? await builds.verify(request, options) : await builds.build(request, options);
  display.finish();
  const pushed = await pushAll(context, outputs.image, result.target.digest, flags.bool("quiet"));
  writeResults(flags, { ...result, ...(pushed !== undefined && { target: { ...result.target, ...pushed } }) }, request);
  if (flags.bool("quiet")) context.out.write(`${result.images[0]?.id ?? result.target.digest}\n`);
  return verifying ? tellDifferences(context, result.differences ?? []) : 0;
}

function writeResults(
  flags: ParsedFlags,
  { images, target, metadata }: WireBuildResult,
  { tags = [], digestNames = [] }: WireBuild,
): void {
  const [first] = images;
  const names = [
    ...tags.map((tag) => normalisedName(withDefaultTag(parseReference(tag)))),
    ...digestNames.map((name) => `${normalisedName(parseReference(splitImage(name).repo))}@${target.digest}`),
  ];
  if (flags.text("iidfile") !== "") writeResult(flags.text("iidfile"), first?.id ?? target.digest);
  if (flags.text("metadata-file") === "") return;
  const all = {
    "containerimage.digest": target.digest,
    "containerimage.descriptor": target,
    ...(first === undefined ? {} : { "containerimage.config.digest": first.id }),
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
    ...metadata,
  };
  writeResult(flags.text("metadata-file"), `${JSON.stringify(all, undefined, 2)}\n`);
}

/** What the registry has then; of several, the last. */
async function pushAll(
  context: Context,
  { push, names, digestNames }: Outputs["image"],
  digest: string,
  quiet: boolean,
): Promise<Pushed | undefined> {
  if (push === undefined) return undefined;
  const { pushDigest, pushTag } = await import("./push.ts");
  let pushed: Pushed | undefined;
  if (push === "digests") for (const name of digestNames) pushed = await pushDigest(context, name, digest, quiet);
  else for (const name of names) pushed = (await pushTag(context, name, quiet)) ?? pushed;
  return pushed;
}

/** Credentials are looked for only where there can be some: their code takes longer to load than a cached build. */
async function credentialsOf(context: Context): Promise<string | undefined> {
  if (!existsSync(join(context.configFolder, "config.json")) && !context.env.DOCKER_AUTH_CONFIG) return undefined;
  return (await import("../images/credentials.ts")).registryConfig(context);
}

function tellDifferences(context: Context, differences: readonly string[]): number {
  if (differences.length === 0) {
    context.err.write("Both builds made the same image.\n");
    return 0;
  }
  context.err.write(`The two builds differ:\n${differences.map((line) => ` - ${line}\n`).join("")}`);
  if (differences.some((line) => /created|time /.test(line)))
    context.err.write("Times become the same with --build-arg SOURCE_DATE_EPOCH=SECONDS.\n");
  return 1;
}

/** Lint findings as Buildx prints them; 1 when there are any. */
async function check(context: Context, { request, call }: Prepared, signal: AbortSignal): Promise<number> {
  const warnings = await context.client.builds.check(request, { ...call, signal });
  if (warnings.length === 0) {
    context.out.write("Check complete, no warnings found.\n");
    return 0;
  }
  const found = warnings.length === 1 ? "1 warning has" : `${warnings.length} warnings have`;
  context.out.write(`Check complete, ${found} been found!\n`);
  const lines = (request.dockerfile.text ?? "").split(/\r?\n/);
  for (const warning of warnings)
    context.out.write(warningText(warning, request.dockerfile.name ?? "Dockerfile", lines));
  return 1;
}

function warningText({ rule, url, message, range }: WireWarning, file: string, lines: readonly string[]): string {
  const { line } = range.start;
  const head = `\nWARNING: ${rule}${url === "" ? "" : ` - ${url}`}\n${message}\n\n${file}:${line}\n`;
  const first = Math.max(1, line - 2);
  const last = Math.min(lines.length, range.end.line + 2);
  const shown = lines.slice(first - 1, last).map((text, index) => {
    const number = first + index;
    const mark = number >= line && number <= range.end.line ? ">>>" : "   ";
    return `${String(number).padStart(4)} | ${mark} ${text}`.trimEnd();
  });
  const rule20 = "-".repeat(20);
  return shown.length === 0 || lines.length === 1 ? head : `${head}${[rule20, ...shown, rule20].join("\n")}\n`;
}

async function failed(context: Context, flags: ParsedFlags, failure: WireBuildFailure): Promise<number> {
  const id = failure.step?.id;
  const opens = flags.changed("debug-shell") && id !== undefined;
  context.err.write(failureText(opens ? { ...failure, hint: undefined } : failure));
  if (opens) await openShell(context, flags, id);
  return failure.step?.exitCode || 1;
}

async function openShell(context: Context, flags: ParsedFlags, step: string): Promise<number> {
  const { debugShell } = await import("./debug-shell.ts");
  return await debugShell(context, step, flags.text("debug-shell"));
}

/** `--debug-shell ID`, as a failed build's last line says it: the step that it kept. */
function keptStep(flags: ParsedFlags): string | undefined {
  const [word = ""] = flags.positional;
  return flags.changed("debug-shell") && /^[0-9a-f]{12,64}$/.test(word) && !existsSync(word) ? word : undefined;
}
