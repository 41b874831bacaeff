import { EngineError } from "../base/errors.ts";
import type { LogReadOptions } from "../logs/logs.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";

export type ContainerLogOptions = Omit<LogReadOptions, "follow" | "framed" | "end"> & {
  readonly follow: boolean;
  readonly details: boolean;
};

/** With `follow` it goes on until the run that is under way has ended and all of it was read. */
export function readLogs({ logs, paths }: Context, container: Container, { follow, ...options }: ContainerLogOptions) {
  if (!options.stdout && !options.stderr)
    throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  const { config, hostConfig } = container.definition;
  const raw = config.Tty === true;
  const sink = logs.sink(hostConfig.LogConfig ?? {}, paths.container(container.id), container.id);
  const chunks = logs.read(sink, {
    ...options,
    framed: !raw,
    follow: follow && container.task !== undefined ? { ended: container.task.exited } : undefined,
  });
  return { raw, chunks };
}
