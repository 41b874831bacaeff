import { EngineError } from "../../base/errors.ts";

export const noGraphs = (): EngineError =>
  new EngineError("not-implemented", "graphs of build operations (LLB) are not supported", {
    hint: "Describe the build by a Dockerfile.",
  });
