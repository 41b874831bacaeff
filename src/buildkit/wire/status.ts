/** google.rpc.Status, and what BuildKit puts into its details. */
import { many, message, one, type PartOf } from "../protobuf/message.ts";

export const Any = message({ typeUrl: one(1, "string"), value: one(2, "bytes") });

export const Status = message({ code: one(1, "int"), message: one(2, "string"), details: many(3, Any) });
export type StatusPart = PartOf<typeof Status>;

/** Where in a file the error is: {"info": SourceInfo, "ranges": Range[]} as JSON. */
export const ERROR_SOURCE_TYPE = "github.com/moby/buildkit/errdefs.Source+json";
