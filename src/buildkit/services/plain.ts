/** A build whose request has everything but what a session offers. */
import { newId } from "../../base/ids.ts";
import type { Buildkit, PlainBuild } from "../buildkit.ts";
import { statusOf } from "../grpc/status.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import { runFrontend } from "../solve/frontend.ts";
import type { Job } from "../solve/jobs.ts";
import { SolveRequest, StatusResponse } from "../wire/control.ts";
import type { Services } from "./services.ts";

export async function plainBuild(
  services: Services,
  request: PlainBuild,
  { signal, onStatus }: Parameters<Buildkit["build"]>[1],
): Promise<string> {
  const { jobs, history } = services;
  const { session, exporters } = request;
  const asked = { ref: newId(), session, exporters, frontend: "dockerfile.v0" };
  const own = { connection: Symbol("build"), signal };
  const job = jobs.begin(decode(SolveRequest, encode(SolveRequest, asked)), own);
  history.begin(job);
  const told = tell(job, onStatus);
  let error: unknown;
  try {
    await run(services, job, request);
  } catch (failure) {
    error = failure;
  }
  await jobs.end(job);
  await told;
  history.end(job, error === undefined ? undefined : statusOf(error));
  if (error !== undefined) throw error;
  return job.response["containerimage.config.digest"] ?? "";
}

async function tell({ progress }: Job, onStatus: (status: Buffer) => void): Promise<void> {
  // To its end: a build that was given up has one too.
  for await (const part of progress.read(new AbortController().signal)) onStatus(encode(StatusResponse, part));
}

async function run(services: Services, job: Job, { body, attributes, credentials }: PlainBuild): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { signal } = job;
  const context = body === undefined ? undefined : stack.use(await services.contexts.receive(body, { signal }));
  const call = { frontend: "dockerfile.v0", attributes, cacheImports: [], inputs: new Map<string, string>() };
  await runFrontend(services, job, { ...call, context, credentials });
}
