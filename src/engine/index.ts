/** What `import … from "gantry"` gives. */
export { EngineError, type ErrorKind, errorKind } from "../base/errors.ts";
export type { Containers } from "../containers/containers.ts";
export type { Images } from "../images/images.ts";
export type { Networks } from "../networks/networks.ts";
export type { Volumes } from "../volumes/volumes.ts";
export type { Engine, EngineOptions, EngineSettings } from "./engine.ts";
export { createEngine } from "./open.ts";
