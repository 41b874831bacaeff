import type { Duplex } from "node:stream";
import { EngineError } from "../base/errors.ts";
import type { AttachStream, Task } from "../runtime/runtime.ts";
import type { Container } from "./container.ts";
import type { AttachOptions, PreparedAttach } from "./containers.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { joinClient } from "./join-client.ts";
import { notify } from "./notify.ts";

/**
 * From this call on the client is expected: a start that comes before `run` holds the output for it. With `logs` and `stream` the log
 * goes up to the position at which the stream begins.
 */
export function prepareAttach(context: Context, container: Container, options: AttachOptions): PreparedAttach {
  const { config } = container.definition;
  const detachKeys = config.Tty ? parseDetachKeys(options.detachKeys) : [];
  if (container.state.status === "paused")
    throw new EngineError("conflict", `container ${container.id} is paused, unpause the container before attach`);
  if (container.state.status === "restarting")
    throw new EngineError("conflict", `container ${container.id} is restarting, wait until the container is running`);
  const raw = config.Tty === true;
  const stdin = options.stdin && config.OpenStdin === true;
  const opened = options.stream ? openStream(container, { ...options, stdin }) : Promise.resolve(undefined);
  // A failure is the runner's to see; without a runner it is nobody's.
  opened.catch(() => {});
  return {
    raw,
    async run(client: Duplex) {
      notify(context, container, "attach");
      client.on("error", () => {});
      const cancelled = new Promise<undefined>((resolve) => client.once("close", () => resolve(undefined)));
      const stream = await Promise.race([opened, cancelled]);
      if (stream === undefined && options.stream) return;
      if (options.logs) await replay(context, container, options, client, stream);
      if (stream === undefined) return;
      if (await joinClient(stream, client, { stdin, detachKeys })) notify(context, container, "detach");
    },
  };
}

function openStream(container: Container, options: AttachOptions): Promise<AttachStream | undefined> {
  const attach = (task: Task) =>
    task.attach({
      stdin: options.stdin,
      stdout: options.stdout,
      stderr: options.stderr,
      pending: !options.logs,
    });
  if (container.task !== undefined) return attach(container.task);
  const { promise, resolve, reject } = Promise.withResolvers<AttachStream | undefined>();
  container.joiners.add(async (task) => {
    if (task === undefined) {
      resolve(undefined);
      return undefined;
    }
    try {
      const stream = await attach(task);
      resolve(stream);
      return stream;
    } catch (error) {
      reject(error);
      throw error;
    }
  });
  return promise;
}

async function replay(
  { logs, paths }: Context,
  container: Container,
  { stdout, stderr }: AttachOptions,
  client: Duplex,
  stream: AttachStream | undefined,
): Promise<void> {
  const { config, hostConfig } = container.definition;
  const sink = logs.sink(hostConfig.LogConfig ?? {}, paths.container(container.id), container.id);
  const chunks = logs.read(sink, {
    stdout,
    stderr,
    timestamps: false,
    framed: config.Tty !== true,
    end: stream?.logPosition,
  });
  for await (const chunk of chunks) {
    if (client.destroyed) return;
    if (!client.write(chunk)) await new Promise((resolve) => client.once("drain", resolve).once("close", resolve));
  }
}
