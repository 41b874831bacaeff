/** An API over a fake engine on a real unix socket, and the ways to talk to it: by HTTP, and byte by byte. */
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createApi } from "../api/api.ts";
import type { Logger } from "../base/log.ts";
import { type FakeParts, fakeEngine } from "./fake-engine.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  readonly json: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly body?: string | Buffer | object;
  readonly headers?: Record<string, string>;
}

export interface Harness {
  readonly path: string;
  ask(url: string, options?: Ask): Promise<Answer>;
  /** A bare connection that keeps its half open. */
  connect(): RawClient;
  readonly logged: string[];
}

export async function startApi(t: TestContext, parts: FakeParts = {}): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-api-"));
  const path = join(folder, "api.sock");
  const logged: string[] = [];
  const logger: Logger = {
    log: (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
  };
  const api = createApi(fakeEngine(parts), { logger });
  const server = api.server();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(async () => {
    await api.close(0);
    rmSync(folder, { recursive: true, force: true });
  });
  return { path, logged, ask: (url, options) => ask(path, url, options), connect: () => new RawClient(path) };
}

function ask(socketPath: string, path: string, { method = "GET", body, headers = {} }: Ask = {}): Promise<Answer> {
  const isJson = typeof body === "object" && !Buffer.isBuffer(body);
  const payload = isJson ? JSON.stringify(body) : body;
  return new Promise((resolve, reject) => {
    const length = payload === undefined ? {} : { "Content-Length": String(Buffer.byteLength(payload)) };
    const request = httpRequest(
      {
        socketPath,
        path,
        method,
        agent: false,
        headers: { ...(isJson ? { "Content-Type": "application/json" } : {}), ...length, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const status = response.statusCode ?? 0;
          resolve({
            status,
            headers: response.headers,
            text,
            get json() {
              return JSON.parse(text) as unknown;
            },
          });
        });
      },
    );
    request.on("error", reject);
    request.end(payload);
  });
}

/** What arrives is collected; `until` waits for a text in it. */
export class RawClient {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  received = "";
  #waiting: (() => void)[] = [];

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (chunk: string) => {
      this.received += chunk;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      for (const event of ["end", "close", "error"])
        this.socket.once(event, () => {
          resolve();
          this.#wake();
        });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Rejects when the connection ends without it. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      if (this.socket.readableEnded || this.socket.destroyed)
        throw new Error(`ended with ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  write(text: string | Buffer): void {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  end(text = ""): void {
    this.socket.end(Buffer.from(text, "latin1"));
  }
}

/** Resolves when the condition holds; fails after ten seconds instead of hanging. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
