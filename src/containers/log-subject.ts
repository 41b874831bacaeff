import { errorMessage } from "../base/errors.ts";
import type { LogSubject } from "../logs/logs.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { commandOf } from "./list.ts";
import type { Definition } from "./record.ts";

/** What a log's lines and tag may say about its container, as it is called now. */
export function logSubject(
  { id, name, createdAt }: Pick<Container, "id" | "name" | "createdAt">,
  { config, imageId }: Definition,
): LogSubject {
  return {
    id,
    name,
    createdAt,
    imageId,
    imageName: config.Image ?? imageId,
    command: commandOf(config),
    labels: config.Labels ?? {},
    env: config.Env ?? [],
  };
}

/** Has the log sent to its service, where its driver has one, until `ended` resolves and all is sent. Never throws. */
export function forwardLog({ logs, paths, logger }: Context, container: Container, ended: Promise<unknown>): void {
  const { id, definition } = container;
  const config = definition.hostConfig.LogConfig ?? {};
  try {
    logs.forward(config, paths.container(id), logSubject(container, definition), ended);
  } catch (error) {
    logger.log("error", "a log can't be forwarded", { container: id, error: errorMessage(error) });
  }
}
