import type { Duplex } from "node:stream";
import { EngineError } from "../base/errors.ts";
import type { AttachStream, Task } from "../runtime/runtime.ts";
import type { Container } from "./container.ts";
import type { AttachOptions, PreparedAttach } from "./containers.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { joinStreams } from "./join-streams.ts";
import { notify } from "./notify.ts";

/** A container that does not run yet is waited for, and its output then comes from the first byte. */
export function prepareAttach(context: Context, container: Container, options: AttachOptions): PreparedAttach {
  const detachKeys = parseDetachKeys(options.detachKeys || undefined);
  const { id, state, definition } = container;
  if (state.status === "paused")
    throw new EngineError("conflict", `container ${id} is paused, unpause the container before attach`);
  if (state.status === "restarting")
    throw new EngineError("conflict", `container ${id} is restarting, wait until the container is running`);
  const raw = definition.config.Tty === true;
  return {
    raw,
    run: async (client) => {
      notify(context, container, "attach");
      if (!options.stream) return options.logs ? replay(context, container, options, client) : undefined;
      const stream = await openStream(container, options, client);
      if (stream === undefined) return;
      if (options.logs) await replay(context, container, options, client, stream);
      const outcome = await joinStreams({
        client,
        stream,
        stdin: options.stdin && definition.config.OpenStdin === true,
        detachKeys: raw ? detachKeys : [],
      });
      if (outcome === "detached") notify(context, container, "detach");
    },
  };
}

/** Now, or at the container's start; undefined when the client goes away or the container never starts. */
function openStream(container: Container, options: AttachOptions, client: Duplex): Promise<AttachStream | undefined> {
  const stdin = options.stdin && container.definition.config.OpenStdin === true;
  // With the log, an unfinished line is in neither: it must come with the stream.
  const { stdout, stderr } = options;
  const open = (task: Task) => task.attach({ stdin, stdout, stderr, pending: true });
  if (container.task !== undefined) return open(container.task).catch(() => undefined);
  const { promise, resolve } = Promise.withResolvers<AttachStream | undefined>();
  const joiner = async (task: Task | undefined) => {
    client.removeListener("close", leave);
    const stream = task === undefined ? undefined : await open(task).catch(() => undefined);
    resolve(stream);
    return stream;
  };
  const leave = () => {
    container.joiners.delete(joiner);
    resolve(undefined);
  };
  container.joiners.add(joiner);
  client.once("close", leave);
  return promise;
}

/** The log up to where the stream begins, or up to now. */
async function replay(
  { logs, paths }: Context,
  { id, definition }: Container,
  options: AttachOptions,
  client: Duplex,
  stream?: AttachStream,
): Promise<void> {
  const { hostConfig, config } = definition;
  const chunks = logs.read(logs.sink(hostConfig.LogConfig ?? {}, paths.container(id), id), {
    stdout: options.stdout,
    stderr: options.stderr,
    timestamps: false,
    framed: config.Tty !== true,
    end: stream?.logPosition,
  });
  try {
    for await (const chunk of chunks) {
      if (client.destroyed) return;
      if (!client.write(chunk)) await new Promise((resolve) => onceAny(client, ["drain", "close"], resolve));
    }
  } catch (error) {
    stream?.close();
    throw error;
  }
}

function onceAny(client: Duplex, events: readonly string[], resolve: (value: unknown) => void): void {
  const done = () => {
    for (const event of events) client.removeListener(event, done);
    resolve(undefined);
  };
  for (const event of events) client.once(event, done);
}
