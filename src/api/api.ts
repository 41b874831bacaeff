/**
 * The API: the Docker Engine API v1.51 (minimum 1.24) over an Engine.
 *
 *   route.ts     what a row of the table is              routes/*    the rows, a file per noun
 *   router.ts    table → matcher                         dispatch.ts request → answer
 *   query.ts, filters.ts, body.ts, json/   reading       reply.ts, hijack.ts, websocket.ts   writing
 *   compat.ts    what older clients are answered         errors.ts   kinds → statuses
 *
 * `server()` gives any number of node servers over the same table (a unix socket, TCP, TLS); the caller lets each listen.
 * No request can stop the process or hold more memory than the bounds in server.ts and body.ts allow.
 */
import type { Server } from "node:net";
import type { TlsOptions } from "node:tls";
import type { Logger } from "../base/log.ts";
import { silentLogger } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import { createAuthorization } from "./authorization.ts";
import { createDispatcher, type RequestObserver } from "./dispatch.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { createRouter } from "./router.ts";
import { routes } from "./routes/table.ts";
import { makeServer } from "./server.ts";
import { apiVersion, MAX_VERSION } from "./versions.ts";

export interface ApiOptions {
  readonly logger?: Logger | undefined;
  /** Told of every request. */
  readonly observer?: RequestObserver | undefined;
  /** Names of the authorization plug-ins to ask, as configured at the moment of a request; default none. */
  readonly authorizationPlugins?: (() => readonly string[]) | undefined;
}

export interface Api {
  /** A server that does not listen yet. `tls`: speak HTTPS. */
  server(tls?: TlsOptions): Server;
  /** Stops listening, lets running requests finish for `grace` milliseconds, then cuts what is left. Idempotent. */
  close(grace: number): Promise<void>;
}

export function createApi(
  engine: Engine,
  { logger = silentLogger, observer, authorizationPlugins: names }: ApiOptions = {},
): Api {
  const early = new EarlyBytes();
  const dispatcher = createDispatcher({
    engine,
    logger,
    router: createRouter(routes),
    headers: commonHeaders(engine),
    early,
    observer,
    authorization: names === undefined ? undefined : createAuthorization(engine.plugins, names),
  });
  const servers: ReturnType<typeof makeServer>[] = [];
  return {
    server(tls) {
      const made = makeServer({ dispatcher, early, logger, tls });
      servers.push(made);
      return made.server;
    },
    async close(grace) {
      await Promise.all(servers.map((server) => server.close(grace)));
    },
  };
}

function commonHeaders(engine: Engine): Record<string, string> {
  const { Version, Os, Experimental } = engine.system.version();
  return {
    "Api-Version": apiVersion(MAX_VERSION),
    "Docker-Experimental": String(Experimental),
    Ostype: Os,
    Server: `Gantry/${Version} (${Os})`,
  };
}
