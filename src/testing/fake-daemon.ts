/** An HTTP server on a unix socket that answers from a table and remembers what it was asked: for tests of clients. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Asked {
  readonly method: string;
  /** Without the version's prefix; with the query. */
  readonly url: string;
  readonly body: string;
}

export interface FakeDaemon extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string;
  readonly folder: string;
  readonly asked: Asked[];
}

/** By "METHOD /path": a text is sent as it is, everything else as JSON. What is not there answers 404. */
export type Answers = Readonly<Record<string, unknown>>;

export async function startFakeDaemon(answers: Answers): Promise<FakeDaemon> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-fake-"));
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const url = (request.url ?? "").replace(/^\/v[\d.]+/, "");
      const body = await textOf(request);
      const { method = "GET" } = request;
      asked.push({ method, url, body });
      response.setHeader("Api-Version", "1.51");
      response.setHeader("Ostype", "linux");
      const path = url.split("?")[0] ?? "";
      if (path === "/_ping") return response.end("OK");
      const answer = answers[`${method} ${path}`];
      response.setHeader("Content-Type", "application/json");
      if (answer === undefined)
        response.writeHead(404).end(JSON.stringify({ message: `no answer to ${method} ${path}` }));
      else response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
      return undefined;
    })();
  });
  const path = join(folder, "fake.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    host: `unix://${path}`,
    folder,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
}
