/** What is done to a container that its health check found unhealthy; none of Docker's, see docs/containers.md. */
import { errorKind } from "../base/errors.ts";
import { HEALTH_ANNOTATION } from "../runtime/validate.ts";
import { inBackground } from "./background.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { killContainer, restartContainer, stopContainer } from "./stop.ts";

type Act = (context: Context, container: Container) => Promise<void>;

/** A restart policy follows a kill as it follows any end; it leaves alone what was stopped. */
const ACTIONS: Readonly<Record<string, Act>> = {
  restart: (context, container) => restartContainer(context, container, { counts: true }),
  stop: (context, container) => stopContainer(context, container, {}),
  kill: (context, container) => killContainer(context, container, "KILL", { byHand: false }),
};

/** Begins what the container wishes for this case; nothing when it wishes nothing. Nobody waits for it. */
export function actOnUnhealthy(context: Context, container: Container): void {
  const { config, hostConfig } = container.definition;
  const name = config.Healthcheck?.OnFailure || hostConfig.Annotations?.[HEALTH_ANNOTATION] || "none";
  const act = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (act === undefined) return;
  context.logger.log("info", "an unhealthy container is taken care of", { container: container.id, action: name });
  void inBackground(context, `the ${name} of an unhealthy container`, () =>
    act(context, container).catch((error: unknown) => {
      // It ended by itself, or someone was quicker.
      if (!["not-modified", "conflict", "not-found"].includes(errorKind(error))) throw error;
    }),
  );
}
