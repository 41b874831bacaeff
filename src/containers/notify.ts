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

/** Tells of each volume that a run mounts or lets go of. */
export function notifyVolumes(
  { events, volumes }: Pick<Context, "events" | "volumes">,
  { id, definition }: Container,
  action: "mount" | "unmount",
): void {
  for (const { type, name, destination, writable, propagation } of definition.mounts) {
    if (type !== "volume" || name === undefined) continue;
    const details = { destination, "read/write": String(writable), propagation };
    const attributes = { driver: driverOf(volumes, name), container: id, ...(action === "mount" ? details : {}) };
    events.publish({ type: "volume", action, id: name, attributes });
  }
}

function driverOf(volumes: Context["volumes"], name: string): string {
  try {
    return volumes.inspect(name).Driver;
  } catch {
    return "local";
  }
}
