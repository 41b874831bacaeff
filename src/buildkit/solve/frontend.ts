/** The Dockerfile frontend: a build as the client's attributes ask for it, or one of the questions about a Dockerfile. */
import { EngineError } from "../../base/errors.ts";
import type { Builder, BuildRequest, BuildResult, CacheLocation } from "../../builder/builder.ts";
import type { Contexts, OwnedContext } from "../../builder/context/contexts.ts";
import { lookUp } from "../../builder/given.ts";
import type { Images } from "../../images/images.ts";
import { NO_SESSION, type Session } from "../session/session.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Result } from "../wire/gateway.ts";
import { type Attributes, cacheImports, cacheLocation, isTrue, optionsOf, prefixed } from "./attributes.ts";
import { CONTEXT_VERTEX, contextVertex, type Gathered, gather } from "./contexts.ts";
import { EventTranslator } from "./events.ts";
import { explainFailure } from "./failures.ts";
import type { Job } from "./jobs.ts";
import { type Outputs, outputsOf, responseOf } from "./outputs.ts";
import { pushAll } from "./pushes.ts";
import { answerQuestion } from "./questions.ts";
import type { Results } from "./results.ts";

export interface FrontendParts {
  readonly builder: Builder;
  readonly contexts: Contexts;
  readonly images: Images;
  readonly sessions: Sessions;
  readonly results: Results;
}

interface Wanted {
  readonly type: string;
  readonly attrs: Attributes;
}

export interface FrontendCall {
  readonly frontend: string;
  readonly attributes: Attributes;
  readonly cacheImports: readonly Wanted[];
  /** The images of other builds' results that this one starts from, by the inputs' names. */
  readonly inputs: ReadonlyMap<string, string>;
  /** The main context, when it came with the request. */
  readonly context?: OwnedContext | undefined;
  /** Where the session has no logins. */
  readonly credentials?: BuildRequest["credentials"];
}

const FRONTENDS: ReadonlySet<string> = new Set(["dockerfile.v0"]);

/** Post-condition: everything that the job's outputs ask for is done, and `job.response` says so. */
export async function runFrontend(parts: FrontendParts, job: Job, call: FrontendCall): Promise<Result> {
  const { attributes, frontend } = call;
  if (!FRONTENDS.has(frontend) && !isDockerfileImage(frontend, attributes))
    throw new EngineError("not-implemented", `the frontend ${attributes.source ?? frontend} is not supported`, {
      hint: "Builds are described by Dockerfiles.",
    });
  job.attributes = attributes;
  const { session: id } = job.request;
  const plain = id === "" && call.context !== undefined;
  const session = plain ? NO_SESSION : await parts.sessions.get(id, job.signal);
  let gathered: Gathered | undefined;
  try {
    await using stack = new AsyncDisposableStack();
    const { contexts, images } = parts;
    const inputImage = (name: string) => call.inputs.get(name.split("::")[0] ?? name);
    const { progress, signal } = job;
    const wish = {
      attributes,
      session,
      sessionOf: (other: string) => parts.sessions.get(other, signal),
      contexts,
      progress,
      signal,
      stack,
      inputImage,
      onBuild: triggersIn(images),
      given: call.context,
    };
    gathered = await gather(wish);
    const answer = await answerQuestion(parts.builder, attributes, gathered.dockerfile);
    return answer ?? (await build(parts, job, call, { session, gathered }));
  } catch (error) {
    throw explainFailure(error, gathered?.dockerfile);
  }
}

/** Undefined for an image that is not here. */
const triggersIn = (images: Images) => (name: string) => {
  try {
    return images.peek(name).config.config?.OnBuild ?? [];
  } catch {
    return undefined;
  }
};

/** `# syntax=docker/dockerfile:1` as a client asks for it by itself. */
const isDockerfileImage = (frontend: string, { source = "" }: Attributes): boolean =>
  frontend === "gateway.v0" && /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/.test(source);

interface Ready {
  readonly session: Session;
  readonly gathered: Gathered;
}

async function build(
  { builder, images, results }: FrontendParts,
  job: Job,
  call: FrontendCall,
  { session, gathered }: Ready,
): Promise<Result> {
  const { request, progress, signal } = job;
  const outputs = outputsOf(request, async () => session);
  const { definition, ...files } = gathered;
  const names = Object.keys(gathered.contexts ?? {}).map(contextVertex);
  const skip = new Set([CONTEXT_VERTEX, ...names]);
  const events = new EventTranslator({ skip, definition, text: gathered.dockerfile.text });
  const before = new Set(outputs.store ? [] : (await namedImages(images)).map(({ Id }) => Id));
  const result = await builder.build(
    { ...requestOf(call, job, session), ...files, ...outputsFor(outputs) },
    {
      signal,
      onProgress: (event) => {
        const part = events.translate(event);
        if (part !== undefined) progress.tell(part);
      },
    },
  );
  const pushed = await pushAll(images, job, session, outputs.push);
  job.response = { ...responseOf(result, outputs), ...(pushed !== undefined && { "containerimage.digest": pushed }) };
  if (!outputs.store) await dropLater(images, job, result, before);
  return results.keep(result);
}

const outputsFor = ({ tags, digestNames, imageOptions, exporters }: Outputs) => ({
  tags,
  digestNames,
  imageOptions,
  exporters,
});

const namedImages = (images: Images) =>
  images.list({ all: true, filters: {}, sharedSize: false, digests: false, manifests: false });

/** Where nobody wants the image it is kept until the job is over: builds beside it may start from it. */
async function dropLater(
  images: Images,
  job: Job,
  { images: built }: BuildResult,
  before: ReadonlySet<string>,
): Promise<void> {
  for (const { id } of built) {
    if (before.has(id)) continue;
    await job.defer(async () => {
      const image = (await namedImages(images)).find(({ Id }) => Id === id);
      if (image?.RepoTags.length === 0) await images.remove(id, { force: false, prune: false }).catch(() => {});
    });
  }
}

function requestOf(
  { attributes, cacheImports: imports, credentials }: FrontendCall,
  { request, progress }: Job,
  session: Session,
) {
  const options = optionsOf(attributes);
  const known = (type: string, attrs: Attributes): CacheLocation[] => {
    const location = type === "local" ? undefined : cacheLocation(type, attrs);
    if (location === undefined) progress.note(`the cache of type ${type} is not supported here, and left out`);
    return location === undefined ? [] : [location];
  };
  refuseAttestations(attributes, progress);
  const inline = isTrue(attributes["build-arg:BUILDKIT_INLINE_CACHE"])
    ? [{ type: "inline", attributes: {} } as const]
    : [];
  const cacheFrom = [...imports, ...cacheImports(attributes), ...(request.cache?.imports ?? [])];
  const cacheTo = request.cache?.exports ?? [];
  return {
    ...options,
    entitlements: request.entitlements.filter((name) => name === "network.host" || name === "security.insecure"),
    cacheFrom: unique(cacheFrom.flatMap(({ type, attrs }) => known(type, attrs))),
    cacheTo: [...cacheTo.flatMap((wanted) => cacheExport(wanted, progress)), ...inline],
    sourceDateEpoch: epochOf(request.exporters, prefixed(attributes, "build-arg:")),
    secrets: (id: string, signal: AbortSignal) => session.secret(id, signal),
    ssh: (id: string, signal: AbortSignal) => session.agent(id, signal),
    credentials: async (host: string, signal: AbortSignal) =>
      (await session.credentials(host, signal)) ?? (await lookUp(credentials, host, signal)),
  };
}

/** Clients ask for a little provenance by default, inside the image only; that is left out without a word. */
function refuseAttestations(attributes: Attributes, progress: Job["progress"]): void {
  const { "attest:provenance": provenance = "", "attest:sbom": sbom } = attributes;
  if (sbom !== undefined && sbom !== "false" && !/disabled=true/.test(sbom))
    throw new EngineError("not-implemented", "bills of materials (SBOM) are not made here", {
      hint: "Leave --sbom out.",
    });
  if (provenance !== "" && !/inline-only=true|disabled=true/.test(provenance))
    progress.note("no provenance is made here: the image goes without");
}

/** One that is not known is an error, unless it may fail. */
function cacheExport({ type, attrs }: Wanted, progress: Job["progress"]): CacheLocation[] {
  const location = type === "local" ? undefined : cacheLocation(type, attrs);
  if (location !== undefined) return [location];
  const message = `a cache of type ${type} cannot be written here`;
  if (!isTrue(attrs["ignore-error"]))
    throw new EngineError("not-implemented", message, { hint: "There are registry and inline." });
  progress.note(message);
  return [];
}

const unique = (locations: readonly CacheLocation[]): CacheLocation[] => [
  ...new Map(locations.map((location) => [JSON.stringify(location), location])).values(),
];

function epochOf(exporters: Job["request"]["exporters"], { SOURCE_DATE_EPOCH }: Attributes): number | undefined {
  const given = exporters
    .map(({ attrs }) => attrs["source-date-epoch"])
    .find((text) => text !== undefined && text !== "");
  // The builder itself knows the build argument.
  return SOURCE_DATE_EPOCH === undefined && given !== undefined && /^\d{1,12}$/.test(given) ? Number(given) : undefined;
}
