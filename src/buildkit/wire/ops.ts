/** pb: what builds are made of, as far as it is looked at here. */
import { many, map, message, one } from "../protobuf/message.ts";

export const Position = message({ line: one(1, "int"), character: one(2, "int") });
export const Range = message({ start: one(1, Position), end: one(2, Position) });
export const SourceInfo = message({ filename: one(1, "string"), data: one(2, "bytes"), language: one(4, "string") });
export const Platform = message({
  architecture: one(1, "string"),
  os: one(2, "string"),
  variant: one(3, "string"),
  osVersion: one(4, "string"),
  osFeatures: many(5, "string"),
});
/** Each of `def` is an Op. */
export const Definition = message({ def: many(1, "bytes"), metadata: map(2, message({})) });
export const Input = message({ digest: one(1, "string"), index: one(2, "int") });
export const SourceOp = message({ identifier: one(1, "string"), attrs: map(2, "string") });
export const Op = message({ inputs: many(1, Input), source: one(3, SourceOp), platform: one(10, Platform) });
