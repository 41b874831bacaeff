/** Every route. */
import type { Route } from "../route.ts";
import { buildRoutes } from "./build.ts";
import { buildkitRoutes } from "./buildkit.ts";
import { containerRoutes } from "./containers.ts";
import { execRoutes } from "./exec.ts";
import { imageRoutes } from "./images.ts";
import { manifestRoutes } from "./manifests.ts";
import { networkRoutes } from "./networks.ts";
import { registryRoutes } from "./registries.ts";
import { systemRoutes } from "./system.ts";
import { unsupportedRoutes } from "./unsupported.ts";
import { volumeRoutes } from "./volumes.ts";

export const routes: readonly Route[] = [
  ...systemRoutes,
  ...containerRoutes,
  ...execRoutes,
  ...imageRoutes,
  ...buildRoutes,
  ...buildkitRoutes,
  ...networkRoutes,
  ...registryRoutes,
  ...manifestRoutes,
  ...volumeRoutes,
  ...unsupportedRoutes,
];
