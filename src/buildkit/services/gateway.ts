/** The LLBBridge service: the part of a build that runs at the client. Each call names its build. */
import type { IncomingHttpHeaders } from "node:http";
import { EngineError } from "../../base/errors.ts";
import { type CallContext, type Method, unary } from "../grpc/server.ts";
import { StatusError } from "../grpc/status.ts";
import type { MessageOf } from "../protobuf/message.ts";
import { runFrontend } from "../solve/frontend.ts";
import type { Job } from "../solve/jobs.ts";
import { Empty } from "../wire/control.ts";
import {
  BRIDGE,
  BUILD_ID,
  GatewaySolveRequest,
  GatewaySolveResponse,
  InputsResponse,
  PongResponse,
  ReturnRequest,
} from "../wire/gateway.ts";
import { FRONTEND_CAPS, LLB_CAPS } from "./capabilities.ts";
import type { Services } from "./services.ts";
import { workerRecord } from "./worker.ts";

export function gatewayMethods(services: Services): [string, Method][] {
  const jobOf = ({ metadata, signal }: CallContext): Promise<Job> => services.jobs.get(buildId(metadata), signal);
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
  if (frontend === "" || (definition?.def.length ?? 0) > 0)
    throw new EngineError("not-implemented", "graphs of build operations (LLB) are not supported", {
      hint: "Describe the build by a Dockerfile.",
    });
  return runFrontend(services, job, {
    frontend,
    attributes: frontendOpt,
    cacheImports,
    inputs: inputsOf(services, request),
  });
}

function inputsOf({ results }: Services, { frontendInputs }: Asked) {
  const images = new Map<string, string>();
  for (const [name, definition] of Object.entries(frontendInputs)) {
    const image = results.imageOf(definition);
    if (image === undefined)
      throw new EngineError("not-implemented", `the build's input ${name} is no result of a build here`);
    images.set(name, image);
  }
  return images;
}
