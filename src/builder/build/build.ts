import type { Digest } from "../../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { Lease } from "../../images/images.ts";
import { formatPlatform, HOST_PLATFORM } from "../../oci/platform.ts";
import { parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import type { BuildRequest, BuildResult, BuiltImage } from "../builder.ts";
import type { CacheImports } from "../cache/shared/import.ts";
import { DockerfileError, formatExcerpt } from "../dockerfile/errors.ts";
import type { Dockerfile } from "../dockerfile/language.ts";
import { parseDockerfile } from "../dockerfile/parse.ts";
import { planBuild } from "../dockerfile/plan-build.ts";
import { BuildError } from "../errors.ts";
import { refuseIndexless } from "../exporters/dress.ts";
import { readImageOptions, refuseTimes } from "../exporters/wish.ts";
import type { Session, SessionOptions, Solver } from "../graph/solver.ts";
import { type OnFailedRun, RunFailure } from "../ops/run/run.ts";
import type { BuildEvent } from "../progress.ts";
import { FetchedFolders } from "../sources/fetched.ts";
import type { Toolkit } from "../toolkit.ts";
import { type LayeredTree, layered, type Made, type Tree } from "../tree.ts";
import { BaseImages } from "./base-images.ts";
import { exportCaches, inlineCache, openImports } from "./caches.ts";
import { exportResult } from "./export.ts";
import { drawImage } from "./image.ts";
import { StageCompiler, type TreeVertex } from "./stages.ts";
import { BuildWarnings } from "./warnings.ts";

export interface BuildParts {
  readonly tools: Toolkit;
  readonly solver: Solver<Tree, Made>;
  readonly onFailed: OnFailedRun;
}

/** One build, from the text to what the exporters said. As `Builder.build`. */
export async function runBuild(
  parts: BuildParts,
  request: BuildRequest,
  options: SessionOptions,
): Promise<BuildResult> {
  const { file, names } = checkRequest(request);
  const { ignore } = request.context ?? {};
  const leftOut = ignore === undefined || ignore.length === 0 ? request.dockerfile.ignored : ignore;
  const warnings = new BuildWarnings(file, leftOut, (warning) =>
    options.onProgress({ type: "warning", file: file.file, warning }),
  );
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const { tools } = parts;
  const pinned: Digest[] = [];
  const onResult = ({ layers, chainId }: LayeredTree) => {
    const digests = [...layers.map(({ blob }) => blob.digest), ...(chainId === undefined ? [] : [chainId])];
    tools.steps.pin(digests);
    pinned.push(...digests);
  };
  await using fetched = new FetchedFolders(tools);
  try {
    return await tools.images.lease(async (lease) => {
      const { onProgress } = options;
      const imports = await openImports({ tools, request, signal, onProgress });
      const run = { imports, fetched, parts, request, file, warnings, lease, signal, stop, onProgress, onResult };
      const wanted = request.platforms?.length ? request.platforms : [undefined];
      const built = await allOrFirstError(wanted.map((platform) => buildPlatform(run, platform)));
      const images = built.map(({ image }) => image);
      const result = await exportResult(
        { tools, request, lease, names, signal, onProgress, warnings: warnings.all },
        images,
      );
      await exportCaches({ tools, request, lease, signal, onProgress }, built);
      return result;
    });
  } finally {
    await Promise.all(tools.background);
    tools.steps.unpin(pinned);
    tools.steps.flush();
  }
}

/** What can be wrong before anything runs. */
function checkRequest(request: BuildRequest): { file: Dockerfile; names: Reference[] } {
  const { dockerfile, program, tags = [], imageOptions = {}, sourceDateEpoch } = request;
  for (const name of request.digestNames ?? []) parseReference(name);
  const wish = readImageOptions(imageOptions);
  if (wish !== undefined) refuseIndexless(request.platforms?.length ?? 0, wish);
  refuseTimes(imageOptions, sourceDateEpoch);
  const names = tags.map((tag) => withDefaultTag(parseReference(tag)));
  return { file: program ?? parseDockerfile(dockerfile.text, dockerfile.name), names };
}

export interface PlatformBuild {
  readonly image: BuiltImage;
  readonly session: Session<Tree, Made>;
  /** The target's last step. */
  readonly last: TreeVertex;
}

interface Run {
  readonly imports: CacheImports | undefined;
  readonly parts: BuildParts;
  readonly request: BuildRequest;
  readonly file: Dockerfile;
  readonly warnings: BuildWarnings;
  readonly lease: Lease;
  readonly fetched: FetchedFolders;
  readonly signal: AbortSignal;
  readonly stop: AbortController;
  readonly onProgress: (event: BuildEvent) => void;
  readonly onResult: (tree: LayeredTree) => void;
}

async function buildPlatform(run: Run, platform: Platform | undefined): Promise<PlatformBuild> {
  const { imports, parts, request, file, warnings, lease, fetched, signal, stop, onProgress, onResult } = run;
  const { tools, solver, onFailed } = parts;
  const { target, buildArgs, contexts = {}, platforms = [], pull = false, credentials = {} } = request;
  const targetPlatform = platform ?? HOST_PLATFORM;
  const plan = planBuild(file, { target, buildArgs, targetPlatform, contexts: Object.keys(contexts) });
  warnings.file(plan);
  warnings.refuse();
  const platformName = platforms.length > 1 ? formatPlatform(targetPlatform) : undefined;
  const session = solver.session({ signal, onProgress }, imports && ((...asked) => imports.find(...asked)));
  const bases = new BaseImages(tools, { lease, pull, credentials });
  const orders = { plan, request, warnings, latest: latestTime(request), platformName };
  const compiler = new StageCompiler({ tools, orders, session, bases, onFailed, fetched, onResult });
  const stages = plan.order.map(async (index) => {
    const stage = await compiler.stage(index);
    return { stage, tree: await session.solve(stage.last) };
  });
  try {
    const solved = await Promise.all(stages);
    warnings.refuse();
    const { stage, tree } = solved[plan.order.indexOf(plan.target.index)] as (typeof solved)[number];
    const { last } = stage;
    const extra = inlineCache(request, session, last);
    if (!request.squash) return { image: drawImage({ ...stage.portrait, extra }, layered(tree)), session, last };
    const { vertex, portrait } = compiler.squashed(stage);
    return { image: drawImage({ ...portrait, extra }, layered(await session.solve(vertex))), session, last };
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(stages);
    await session.settled();
    throw explain(error, session, file);
  }
}

/** Waits for all, also when one fails; then rejects with what failed first, and not because of another's failure. */
async function allOrFirstError<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => reason as unknown);
  if (failed.length > 0) throw failed.find((reason) => errorKind(reason) !== "cancelled") ?? failed[0];
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/** The Dockerfile's lines and the exit code for the step that failed first; other errors as they are. */
function explain(error: unknown, session: Session<Tree, Made>, file: Dockerfile): unknown {
  const { failure } = session;
  if (error instanceof DockerfileError || error instanceof BuildError) return error;
  const cause = failure === undefined ? error : failure.error;
  const { step, askedBy } = failure?.vertex.hints ?? {};
  const range = step?.range ?? askedBy;
  if (range === undefined || errorKind(cause) === "cancelled") return cause;
  const known =
    cause instanceof EngineError ? cause : new EngineError(errorKind(cause), errorMessage(cause), { cause });
  const [exitCode, id] = cause instanceof RunFailure ? [cause.exitCode, cause.failedStep] : [undefined, undefined];
  const excerpt = formatExcerpt({ file: file.file, text: file.text, range });
  const hint =
    id === undefined ? undefined : `open a shell in the failed step: gantry build --debug-shell ${id.slice(0, 12)}`;
  return new BuildError(known, { id, exitCode, file: file.file, range, excerpt }, hint);
}

/** SOURCE_DATE_EPOCH, from the request or as a build argument. */
function latestTime({ sourceDateEpoch, buildArgs }: BuildRequest): bigint | undefined {
  const text = sourceDateEpoch ?? buildArgs?.SOURCE_DATE_EPOCH;
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,12}$/.test(String(text)))
    throw new EngineError("invalid", `invalid SOURCE_DATE_EPOCH: ${JSON.stringify(text)}`, {
      hint: "give the seconds since 1970",
    });
  return BigInt(text) * 1_000_000_000n;
}
