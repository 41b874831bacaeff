/** What the tests of forwarding share: log files as the monitor writes them, and servers on loopback that take lines. */
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Logger } from "../../base/log.ts";
import type { LogConfig, LogSubject } from "../logs.ts";
import { openLogs } from "../open.ts";

export const SUBJECT: LogSubject = {
  id: "0123456789abcdef".repeat(4),
  name: "web",
  imageId: `sha256:${"fedcba9876543210".repeat(4)}`,
  imageName: "example.com/web:1",
  command: ["serve"],
  labels: { tier: "front" },
  env: ["REGION=eu"],
  createdAt: "2026-01-01T00:00:00Z",
};

/** Its own time for each line: 2026-01-02T03:04:05.000001000Z and a microsecond more each time. */
export class LogWriter {
  readonly folder: string;
  readonly path: string;
  #count = 0;

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), "gantry-forward-"));
    this.path = join(this.folder, "container-cached.log");
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  write(log: string, stream = "stdout"): void {
    const time = `2026-01-02T03:04:05.${String(++this.#count).padStart(6, "0")}Z`;
    appendFileSync(this.path, `${JSON.stringify({ log, stream, time })}\n`);
  }

  lines(from: number, to: number): void {
    for (let i = from; i < to; i++) this.write(`line ${i}\n`);
  }
}

/** Sends what there is, and what comes until `end` is called. */
export function startForwarding(t: TestContext, writer: LogWriter, config: LogConfig) {
  const told: string[] = [];
  const logger: Logger = { log: (level, message) => void told.push(`${level}: ${message}`) };
  const logs = openLogs({ logger });
  t.after(() => logs.close());
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  logs.forward(config, writer.folder, SUBJECT, ended);
  return { logs, told, end, ended };
}

export interface Receiver {
  /** The port, or the path of a unix socket. */
  readonly address: string;
  text: string;
  readonly sockets: Set<Socket>;
  readonly server: Server;
  onData: (bytes: Buffer, socket: Socket) => void;
  /** Stops listening and hangs up. */
  close(): Promise<void>;
}

/** A server that keeps what it is sent. */
export async function startReceiver(t: TestContext, at: { port?: number; path?: string } = {}): Promise<Receiver> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes: Buffer) => {
      receiver.text += bytes.toString("latin1");
      receiver.onData(bytes, socket);
    });
  });
  await new Promise<void>((resolve) =>
    at.path === undefined ? server.listen(at.port ?? 0, "127.0.0.1", resolve) : server.listen(at.path, resolve),
  );
  const bound = server.address();
  const receiver: Receiver = {
    address: typeof bound === "string" ? bound : String(bound?.port),
    text: "",
    sockets,
    server,
    onData: () => {},
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  t.after(() => receiver.close());
  return receiver;
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
