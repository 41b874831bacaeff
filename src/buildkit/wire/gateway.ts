/** moby.buildkit.v1.frontend: the LLBBridge service's messages, and moby.buildkit.v1.apicaps. */
import { type MessageOf, many, map, message, one, type PartOf } from "../protobuf/message.ts";
import { CacheEntry } from "./control.ts";
import { Definition } from "./ops.ts";
import { Stat } from "./session.ts";
import { Status } from "./status.ts";
import { WorkerRecord } from "./worker.ts";

export const BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/";

/** Names the build (SolveRequest.ref) that a call belongs to. */
export const BUILD_ID = "buildkit-controlapi-buildid";

export const ApiCap = message({ id: one(1, "string"), enabled: one(2, "bool") });
export const PongResponse = message({
  frontendApiCaps: many(1, ApiCap),
  llbCaps: many(2, ApiCap),
  workers: many(3, WorkerRecord),
});

export const Ref = message({ id: one(1, "string"), def: one(2, Definition) });
export const RefMap = message({ refs: map(1, Ref) });
export const Result = message({ ref: one(3, Ref), refs: one(4, RefMap), metadata: map(10, "bytes") });
export type Result = PartOf<typeof Result>;
export const ReturnRequest = message({ result: one(1, Result), error: one(2, Status) });

export const GatewaySolveRequest = message({
  definition: one(1, Definition),
  frontend: one(2, "string"),
  frontendOpt: map(3, "string"),
  cacheImports: many(12, CacheEntry),
  frontendInputs: map(13, Definition),
  evaluate: one(14, "bool"),
});
export type GatewaySolveRequest = MessageOf<typeof GatewaySolveRequest>;
export const GatewaySolveResponse = message({ ref: one(1, "string"), result: one(3, Result) });

export const FileRequest = message({ ref: one(1, "string"), path: one(2, "string") });
export const ReadFileResponse = message({ data: one(1, "bytes") });
export const StatFileResponse = message({ stat: one(1, Stat) });
export const InputsResponse = message({ definitions: map(1, Definition) });
