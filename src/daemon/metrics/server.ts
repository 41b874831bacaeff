/** `metrics-addr`: GET /metrics for Prometheus. */
import { createServer, type Server } from "node:http";
import type { RequestObserver } from "../../api/dispatch.ts";
import { EngineError, errnoOf, errorMessage } from "../../base/errors.ts";
import { CONTENT_TYPE, expose } from "../../base/exposition.ts";
import type { Logger } from "../../base/log.ts";
import type { Engine } from "../../engine/engine.ts";
import { containerMetrics } from "./containers.ts";
import { engineMetrics, eventMetrics } from "./engine.ts";
import { processMetrics } from "./process.ts";
import { requestMetrics } from "./requests.ts";

export interface MetricsOptions {
  readonly engine: Engine;
  readonly dataRoot: string;
  /** "host:port". */
  readonly address: string;
  readonly logger: Logger;
}

export interface Metrics extends AsyncDisposable {
  /** For the API. */
  readonly observer: RequestObserver;
}

/** Listens when it resolves. "invalid" for what is no address, "conflict" when it can't be had. */
export async function serveMetrics({ engine, dataRoot, address, logger }: MetricsOptions): Promise<Metrics> {
  const [requests, events, own] = [requestMetrics(), eventMetrics(engine), processMetrics()];
  const read = async () =>
    expose([
      ...(await engineMetrics(engine, dataRoot)),
      ...events.read(),
      ...requests.read(),
      ...(await containerMetrics(engine)),
      ...own.read(),
    ]);
  // Readers that come together get one reading.
  let reading: Promise<string> | undefined;
  const shared = () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const server = metricsServer(shared, logger);
  const close = async () => {
    events[Symbol.dispose]();
    own[Symbol.dispose]();
    server.closeAllConnections();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  };
  try {
    logger.log("info", `Metrics are served at http://${await start(server, address)}/metrics`);
  } catch (error) {
    await close();
    throw error;
  }
  return { observer: requests, [Symbol.asyncDispose]: close };
}

function metricsServer(read: () => Promise<string>, logger: Logger) {
  return createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 16_384 }, (request, response) => {
    const path = request.url?.split("?", 1)[0];
    if (path !== "/metrics")
      return void response.writeHead(404).end("404 page not found: the metrics are at /metrics\n");
    if (request.method !== "GET" && request.method !== "HEAD") return void response.writeHead(405).end();
    read().then(
      (text) => response.writeHead(200, { "Content-Type": CONTENT_TYPE }).end(text),
      (error: unknown) => {
        logger.log("error", "metrics not read", { error: errorMessage(error) });
        response.writeHead(500).end("metrics could not be read\n");
      },
    );
  });
}

function start(server: Server, address: string): Promise<string> {
  const [, bracketed, plain = "", port] =
    /^(?:tcp:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(address) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new EngineError("invalid", `invalid metrics-addr ${JSON.stringify(address)}`, {
      hint: "write host:port, such as 127.0.0.1:9323",
    });
  const host = bracketed ?? plain;
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const why = errnoOf(error) === "EADDRINUSE" ? "address already in use" : errorMessage(error);
      reject(
        new EngineError("conflict", `failed to start metrics server: listen ${address}: ${why}`, { cause: error }),
      );
    });
    server.listen({ port: Number(port), ...(host === "" ? {} : { host }) }, () => {
      const bound = server.address();
      const own = typeof bound === "object" && bound !== null ? bound : { address: host, port, family: "IPv4" };
      resolve(`${own.family === "IPv6" ? `[${own.address}]` : own.address}:${own.port}`);
    });
  });
}
