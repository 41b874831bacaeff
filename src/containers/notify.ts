import type { Container } from "./container.ts";
import type { Context } from "./context.ts";

/** Publishes an event of a container, with Docker's attributes: its labels, image and name, and what is special about it. */
export function notify(
  { events }: Pick<Context, "events">,
  container: Container,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { config } = container.definition;
  events.publish({
    type: "container",
    action,
    id: container.id,
    attributes: { ...config.Labels, image: config.Image ?? "", name: container.name, ...attributes },
  });
}
