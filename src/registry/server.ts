/** A registry on a TCP port: Node's HTTP server with bounds against hostile clients. */
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TlsOptions } from "node:tls";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Registry } from "./registry.ts";

export interface Listen {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly tls?: TlsOptions | undefined;
}

export interface Served extends AsyncDisposable {
  /** "https://127.0.0.1:5000". */
  readonly url: string;
  /** Takes up new certificates. */
  renew(tls: TlsOptions): void;
}

const BOUNDS: ServerOptions = {
  /** Bytes; tokens are long, and a push by digest may carry a hundred tags. */
  maxHeaderSize: 64 << 10,
  headersTimeout: 30_000,
  /** A layer takes as long as it takes. */
  requestTimeout: 0,
  keepAliveTimeout: 120_000,
  highWaterMark: 256 << 10,
  noDelay: true,
};
/** Milliseconds without a byte in either direction. Long, as the digest of a large upload may have to be counted in between. */
const SILENCE = 15 * 60_000;
/** Milliseconds that running requests get at the end. */
const GRACE = 2_000;

/** Resolves when it listens. Throws "conflict" when the address is taken. */
export async function serve(registry: Registry, { host, port, tls }: Listen): Promise<Served> {
  const server = tls === undefined ? createServer(BOUNDS) : createTlsServer({ ...BOUNDS, ...tls });
  const handle: RequestListener = (request, response) => void registry.handle(request, response);
  server.on("request", handle).on("checkContinue", handle);
  server.setTimeout(SILENCE);
  await listen(server, { host, port });
  const { address, family, port: bound } = server.address() as AddressInfo;
  return Object.freeze({
    url: `${tls === undefined ? "http" : "https"}://${family === "IPv6" ? `[${address}]` : address}:${bound}`,
    renew: (options: TlsOptions) => (server as ReturnType<typeof createTlsServer>).setSecureContext(options),
    [Symbol.asyncDispose]: () => close(server),
  });
}

function listen(server: Server, { host, port }: Omit<Listen, "tls">): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const taken = errnoOf(error) === "EADDRINUSE";
      const why = taken ? "the address is in use" : errorMessage(error);
      reject(
        new EngineError(taken ? "conflict" : "invalid", `cannot listen on ${host}:${port}: ${why}`, { cause: error }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), GRACE);
  await closed;
  clearTimeout(timer);
}
