/** moby.buildkit.v1.types */
import { many, map, message, one } from "../protobuf/message.ts";
import { Platform } from "./ops.ts";

export const BuildkitVersion = message({
  package: one(1, "string"),
  version: one(2, "string"),
  revision: one(3, "string"),
  dockerfileVersion: one(4, "string"),
});
export const WorkerRecord = message({
  id: one(1, "string"),
  labels: map(2, "string"),
  platforms: many(3, Platform),
  buildkitVersion: one(5, BuildkitVersion),
});
