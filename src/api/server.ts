/** Node's HTTP server set up for this API: bounds against hostile clients, upgrades, connections that can be cut at the end. */
import { createServer, type IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TlsOptions } from "node:tls";
import type { Logger } from "../base/log.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { EarlyBytes } from "./early-bytes.ts";
import { close } from "./hijack.ts";

const BOUNDS: ServerOptions & { readonly headersTimeout: number } = {
  /** Bytes of all headers and the request line; queries carry filters and build arguments. */
  maxHeaderSize: 1024 * 1024,
  /** Milliseconds until the headers are complete. */
  headersTimeout: 60_000,
  /** An upload may take as long as it takes. */
  requestTimeout: 0,
  /** Clients keep idle connections as long as they like: closing one just as it is used again loses a request. */
  keepAliveTimeout: 0,
  connectionsCheckingInterval: 15_000,
  highWaterMark: 256 * 1024,
  noDelay: true,
};

/** In milliseconds: who goes away in the middle of a handshake is noticed by this alone, since half-open sockets tell of no end there. */
const TLS_BOUNDS: TlsOptions = { handshakeTimeout: 20_000 };

export interface MadeServer {
  readonly server: Server;
  close(grace: number): Promise<void>;
}

interface ServerParts {
  readonly dispatcher: Dispatcher;
  readonly early: EarlyBytes;
  readonly logger: Logger;
  readonly tls: TlsOptions | undefined;
}

export function makeServer({ dispatcher, early, logger, tls }: ServerParts): MadeServer {
  const options: ServerOptions = { ...BOUNDS, shouldUpgradeCallback: (request) => dispatcher.upgrades(request) };
  const server =
    tls === undefined
      ? createServer(options)
      : process.getBuiltinModule("node:https").createServer({ ...options, ...tls, ...TLS_BOUNDS, allowHalfOpen: true });
  // A client may close its half right after its request and still gets its answer.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  const sockets = new Set<Socket>();
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    void dispatcher.handle({ request, response });
  });
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue();
    void dispatcher.handle({ request, response });
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {});
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.once("finish", () => close(socket));
    void dispatcher.handle({ request, response, head });
  });
  server.on("clientError", (error: ParseError, socket: Socket) => {
    if (early.keep(socket, error.rawPacket, error.bytesParsed)) return;
    logger.log("debug", "bad request", { error: error.message });
    refuse(error, socket);
  });
  server.on("tlsClientError", (error: Error & { readonly code?: string }, socket: { readonly _parent?: Socket }) => {
    logger.log("debug", "TLS handshake failed", { error: error.message });
    if (error.code === "ERR_SSL_HTTP_REQUEST") socket._parent?.end(PLAIN_ON_TLS);
  });
  return { server, close: (grace) => closeServer(server, sockets, grace) };
}

/** In the words that clients know from Go's server. */
const PLAIN_ON_TLS = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

interface ParseError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
  readonly bytesParsed?: number;
}

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

function refuse(error: ParseError, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status = REFUSALS[error.code ?? ""] ?? "400 Bad Request";
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
    () => socket.destroy(),
  );
}

async function closeServer(
  server: Server & { closeIdleConnections(): void },
  sockets: Set<Socket>,
  grace: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, grace);
  await closed;
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
}
