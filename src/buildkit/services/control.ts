/** The Control service. */
import { EngineError } from "../../base/errors.ts";
import { type CallContext, type Method, streaming, unary } from "../grpc/server.ts";
import { statusOf } from "../grpc/status.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import { runFrontend } from "../solve/frontend.ts";
import type { Job } from "../solve/jobs.ts";
import { noGraphs } from "../solve/no-graphs.ts";
import {
  CONTROL,
  DiskUsageRequest,
  DiskUsageResponse,
  Empty,
  HistoryEvent,
  HistoryRequest,
  InfoResponse,
  ListWorkersResponse,
  PruneRequest,
  SolveRequest,
  SolveResponse,
  StatusRequest,
  StatusResponse,
  UpdateHistoryRequest,
  UsageRecord,
} from "../wire/control.ts";
import { pruned, usage } from "./cache.ts";
import type { Services } from "./services.ts";
import { sessionCall } from "./session-call.ts";
import { versionOf, workerRecord } from "./worker.ts";

export function controlMethods(services: Services): [string, Method][] {
  const { builder, jobs, history, worker } = services;
  const methods = {
    Info: unary(Empty, InfoResponse, async () => ({ buildkitVersion: versionOf(await worker()) })),
    ListWorkers: unary(Empty, ListWorkersResponse, async () => ({ record: [workerRecord(await worker())] })),
    Solve: unary(SolveRequest, SolveResponse, (request, context) => solve(services, request, context)),
    Session: sessionCall(services.sessions),
    Status: streaming(StatusRequest, StatusResponse, async function* ({ ref }, { signal }) {
      yield* (history.job(ref) ?? (await jobs.get(ref, signal))).progress.read(signal);
    }),
    DiskUsage: unary(DiskUsageRequest, DiskUsageResponse, ({ filter }) => ({ record: usage(builder, filter) })),
    Prune: streaming(PruneRequest, UsageRecord, (request) => pruned(builder, request)),
    ListenBuildHistory: streaming(HistoryRequest, HistoryEvent, ({ ref, activeOnly, earlyExit, limit }, { signal }) =>
      history.listen({ ref, activeOnly, exit: earlyExit, limit }, signal),
    ),
    UpdateBuildHistory: unary(UpdateHistoryRequest, Empty, (request) => {
      if (!history.update(request.ref, request))
        throw new EngineError("not-found", `no build ${request.ref}`, {
          hint: "docker buildx history ls shows those that are remembered.",
        });
      return {};
    }),
  };
  return Object.entries(methods).map(([name, method]) => [CONTROL + name, method]);
}

/** With a frontend it is run here; without one the client runs it, and says when it is done. */
async function solve(
  services: Services,
  request: MessageOf<typeof SolveRequest>,
  context: CallContext,
): Promise<PartOf<typeof SolveResponse>> {
  const { jobs, history } = services;
  const job = jobs.begin(request, context);
  if (!request.internal) history.begin(job);
  try {
    await run(services, job);
    await jobs.end(job);
    history.end(job, undefined);
    return { exporterResponse: job.response };
  } catch (error) {
    await jobs.end(job);
    history.end(job, statusOf(error));
    throw error;
  }
}

async function run(services: Services, job: Job): Promise<void> {
  const { frontend, frontendAttrs, definition } = job.request;
  if (frontend !== "") {
    await runFrontend(services, job, { frontend, attributes: frontendAttrs, cacheImports: [], inputs: new Map() });
    return;
  }
  if ((definition?.def.length ?? 0) > 0) throw noGraphs();
  await job.returned();
}
