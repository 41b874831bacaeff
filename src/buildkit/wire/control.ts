/** moby.buildkit.v1: the Control service's messages. */
import { type MessageOf, many, map, message, one, type PartOf } from "../protobuf/message.ts";
import { Definition, Range, SourceInfo } from "./ops.ts";
import { Status } from "./status.ts";
import { BuildkitVersion, WorkerRecord } from "./worker.ts";

export const CONTROL = "/moby.buildkit.v1.Control/";

export const Timestamp = message({ seconds: one(1, "int"), nanos: one(2, "int") });
export const timestamp = (ms: number): PartOf<typeof Timestamp> => ({
  seconds: Math.floor(ms / 1000),
  nanos: Math.floor((ms % 1000) * 1_000_000),
});

export const Empty = message({});
export const InfoResponse = message({ buildkitVersion: one(1, BuildkitVersion) });
export const ListWorkersResponse = message({ record: many(1, WorkerRecord) });

export const CacheEntry = message({ type: one(1, "string"), attrs: map(2, "string") });
export const Exporter = message({ type: one(1, "string"), attrs: map(2, "string") });
export const CacheOptions = message({ exports: many(4, CacheEntry), imports: many(5, CacheEntry) });
export const SolveRequest = message({
  ref: one(1, "string"),
  definition: one(2, Definition),
  exporterDeprecated: one(3, "string"),
  exporterAttrsDeprecated: map(4, "string"),
  session: one(5, "string"),
  frontend: one(6, "string"),
  frontendAttrs: map(7, "string"),
  cache: one(8, CacheOptions),
  entitlements: many(9, "string"),
  frontendInputs: map(10, Definition),
  internal: one(11, "bool"),
  exporters: many(13, Exporter),
});
export type SolveRequest = MessageOf<typeof SolveRequest>;
export const SolveResponse = message({ exporterResponse: map(1, "string") });

export const StatusRequest = message({ ref: one(1, "string") });
export const Vertex = message({
  digest: one(1, "string"),
  inputs: many(2, "string"),
  name: one(3, "string"),
  cached: one(4, "bool"),
  started: one(5, Timestamp),
  completed: one(6, Timestamp),
  error: one(7, "string"),
});
export const VertexStatus = message({
  id: one(1, "string"),
  vertex: one(2, "string"),
  name: one(3, "string"),
  current: one(4, "int"),
  total: one(5, "int"),
  timestamp: one(6, Timestamp),
  started: one(7, Timestamp),
  completed: one(8, Timestamp),
});
export const VertexLog = message({
  vertex: one(1, "string"),
  timestamp: one(2, Timestamp),
  stream: one(3, "int"),
  msg: one(4, "bytes"),
});
export const VertexWarning = message({
  vertex: one(1, "string"),
  level: one(2, "int"),
  short: one(3, "bytes"),
  detail: many(4, "bytes"),
  url: one(5, "string"),
  info: one(6, SourceInfo),
  ranges: many(7, Range),
});
export const StatusResponse = message({
  vertexes: many(1, Vertex),
  statuses: many(2, VertexStatus),
  logs: many(3, VertexLog),
  warnings: many(4, VertexWarning),
});
export type StatusResponse = PartOf<typeof StatusResponse>;

export const DiskUsageRequest = message({ filter: many(1, "string"), ageLimit: one(2, "big") });
export const UsageRecord = message({
  id: one(1, "string"),
  mutable: one(2, "bool"),
  inUse: one(3, "bool"),
  size: one(4, "int"),
  createdAt: one(6, Timestamp),
  lastUsedAt: one(7, Timestamp),
  usageCount: one(8, "int"),
  description: one(9, "string"),
  recordType: one(10, "string"),
  shared: one(11, "bool"),
  parents: many(12, "string"),
});
export const DiskUsageResponse = message({ record: many(1, UsageRecord) });
export const PruneRequest = message({
  filter: many(1, "string"),
  all: one(2, "bool"),
  keepDuration: one(3, "big"),
  reservedSpace: one(4, "int"),
  maxUsedSpace: one(5, "int"),
  minFreeSpace: one(6, "int"),
});

export const HistoryRequest = message({
  activeOnly: one(1, "bool"),
  ref: one(2, "string"),
  earlyExit: one(3, "bool"),
  filter: many(4, "string"),
  limit: one(5, "int"),
});
export const HistoryRecord = message({
  ref: one(1, "string"),
  frontend: one(2, "string"),
  frontendAttrs: map(3, "string"),
  exporters: many(4, Exporter),
  error: one(5, Status),
  createdAt: one(6, Timestamp),
  completedAt: one(7, Timestamp),
  exporterResponse: map(9, "string"),
  generation: one(12, "int"),
  pinned: one(14, "bool"),
  cachedSteps: one(15, "int"),
  totalSteps: one(16, "int"),
  completedSteps: one(17, "int"),
  warnings: one(19, "int"),
});
export type HistoryRecord = PartOf<typeof HistoryRecord>;
/** 0 started, 1 complete, 2 deleted. */
export const HistoryEvent = message({ type: one(1, "int"), record: one(2, HistoryRecord) });
export const UpdateHistoryRequest = message({
  ref: one(1, "string"),
  pinned: one(2, "bool"),
  delete: one(3, "bool"),
  finalize: one(4, "bool"),
});
