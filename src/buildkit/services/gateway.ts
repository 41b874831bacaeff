/** The LLBBridge service: the part of a build that runs at the client. Each call names its build. */
import type { IncomingHttpHeaders } from "node:http";
import { EngineError } from "../../base/errors.ts";
import { type CallContext, type Method, unary } from "../grpc/server.ts";
import { StatusError } from "../grpc/status.ts";
import type { MessageOf } from "../protobuf/message.ts";
import { runFrontend } from "../solve/frontend.ts";
import type { Job } from "../solve/jobs.ts";
import { noGraphs } from "../solve/no-graphs.ts";
import { remoteOf } from "../solve/remote-files.ts";
import { Empty } from "../wire/control.ts";
import {
  BRIDGE,
  BUILD_ID,
  FileRequest,
  GatewaySolveRequest,
  GatewaySolveResponse,
  InputsResponse,
  PongResponse,
  ReadFileResponse,
  ReturnRequest,
  StatFileResponse,
} from "../wire/gateway.ts";
import { FRONTEND_CAPS, LLB_CAPS } from "./capabilities.ts";
import type { Services } from "./services.ts";
import { workerRecord } from "./worker.ts";

export function gatewayMethods(services: Services): [string, Method][] {
  const jobOf = (context: CallContext): Promise<Job> => services.jobs.own(buildId(context.metadata), context);
  const methods = {
    Ping: unary(Empty, PongResponse, async (_, context) => {
      await jobOf(context);
      const workers = [workerRecord(await services.worker())];
      return { frontendApiCaps: enabled(FRONTEND_CAPS), llbCaps: enabled(LLB_CAPS), workers };
    }),
    Inputs: unary(Empty, InputsResponse, () => ({})),
    Solve: unary(GatewaySolveRequest, GatewaySolveResponse, async (request, context) => {
      const result = await solve(services, await jobOf(context), request);
      return { result };
    }),
    ReadFile: unary(FileRequest, ReadFileResponse, ({ ref, path }) => ({ data: services.files.read(ref, path) })),
    StatFile: unary(FileRequest, StatFileResponse, ({ ref, path }) => ({ stat: services.files.stat(ref, path) })),
    // Everything is there when Solve has answered.
    Evaluate: unary(Empty, Empty, () => ({})),
    Return: unary(ReturnRequest, Empty, async ({ error }, context) => {
      const job = await jobOf(context);
      job.return(error === undefined ? undefined : new StatusError(error));
      return {};
    }),
  };
  return Object.entries(methods).map(([name, method]) => [BRIDGE + name, method]);
}

type Asked = MessageOf<typeof GatewaySolveRequest>;

const enabled = (ids: readonly string[]) => ids.map((id) => ({ id, enabled: true }));

function buildId(metadata: IncomingHttpHeaders): string {
  const id = metadata[BUILD_ID];
  if (typeof id !== "string" || id === "") throw new EngineError("invalid", `the call names no build (${BUILD_ID})`);
  return id;
}

function solve(services: Services, job: Job, request: Asked) {
  const { frontend, frontendOpt, definition, cacheImports } = request;
  const remote = remoteOf(definition);
  if (frontend === "" && remote !== undefined) return services.files.fetch(job, remote);
  if (frontend === "" || (definition?.def.length ?? 0) > 0) throw noGraphs();
  const { images, remotes } = inputsOf(services, request);
  const attributes = { ...frontendOpt, ...(remotes.context !== undefined && { context: remotes.context }) };
  return runFrontend(services, job, { frontend, attributes, cacheImports, inputs: images });
}

/** Results of other builds, and what is fetched from afar in place of the context. */
function inputsOf({ results }: Services, { frontendInputs }: Asked) {
  const images = new Map<string, string>();
  const remotes: Record<string, string> = {};
  for (const [name, definition] of Object.entries(frontendInputs)) {
    const image = results.imageOf(definition);
    const remote = remoteOf(definition);
    if (image !== undefined) images.set(name, image);
    else if (remote !== undefined) remotes[name] = remote;
    else throw noGraphs();
  }
  return { images, remotes };
}
