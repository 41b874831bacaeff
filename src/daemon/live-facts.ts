/** What `info` says of the daemon rather than of the engine, as it is now: a reload changes it. */
import type { Engine } from "../engine/engine.ts";
import type { Configuration } from "./configuration.ts";

export function withLiveFacts(engine: Engine, current: () => Configuration): Engine {
  return {
    ...engine,
    system: {
      ...engine.system,
      info: async () => {
        const configuration = current();
        const info = await engine.system.info();
        const authorization = configuration.list("authorization-plugins");
        return {
          ...info,
          Plugins: { ...info.Plugins, Authorization: authorization.length === 0 ? null : [...authorization] },
          Debug: configuration.logLevel === "debug",
          Labels: [...configuration.list("labels")],
          LiveRestoreEnabled: configuration.flag("live-restore") ?? true,
        };
      },
    },
  };
}
