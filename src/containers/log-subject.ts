import type { LogSubject } from "../logs/logs.ts";
import type { Container } from "./container.ts";
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
