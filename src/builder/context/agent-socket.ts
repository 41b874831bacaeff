import { chmodSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { SshSource } from "../builder.ts";

/** A unix socket of which every connection is joined to one of the agent's; gone, with its connections, when disposed. */
export async function serveAgent(
  socket: string,
  agent: SshSource,
): Promise<AsyncDisposable & { readonly socket: string }> {
  const controller = new AbortController();
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client)).on("error", () => {});
    void join(client, agent, controller.signal);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socket, resolve);
  });
  chmodSync(socket, 0o600);
  return {
    socket,
    [Symbol.asyncDispose]: async () => {
      controller.abort();
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(socket, { force: true });
    },
  };
}

async function join(client: Socket, agent: SshSource, signal: AbortSignal): Promise<void> {
  try {
    const far = await agent.connect(signal);
    await Promise.all([pipeline(client, far), pipeline(far, client)]);
  } catch {
    client.destroy();
  }
}
