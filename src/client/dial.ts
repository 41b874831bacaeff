/** Opens one byte stream to a daemon. Modules that a unix socket does not need are loaded when they are needed. */
import { connect as connectSocket } from "node:net";
import type { Duplex } from "node:stream";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { type Endpoint, hostText, type TlsOptions } from "./host.ts";

/** The stream is connected when the promise resolves; half-close works on it. "unavailable" when nobody answers. */
export async function dial(endpoint: Endpoint, signal?: AbortSignal): Promise<Duplex> {
  try {
    switch (endpoint.kind) {
      case "unix":
        return await connected(connectSocket({ path: endpoint.path, allowHalfOpen: true }), "connect", signal);
      case "tcp":
        return endpoint.tls === undefined
          ? await connected(
              connectSocket({ host: endpoint.host, port: endpoint.port, allowHalfOpen: true, noDelay: true }),
              "connect",
              signal,
            )
          : await dialTls(endpoint, endpoint.tls, signal);
      case "ssh":
        return (await import("./dial-ssh.ts")).dialSsh(endpoint);
    }
  } catch (error) {
    throw dialError(endpoint, error);
  }
}

function connected<T extends Duplex>(socket: T, event: string, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => socket.destroy(new EngineError("cancelled", "the connection was given up"));
    socket.once("error", reject);
    socket.once(event, () => {
      socket.off("error", reject);
      signal?.removeEventListener("abort", abort);
      resolve(socket);
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

async function dialTls(endpoint: Endpoint & { kind: "tcp" }, tls: TlsOptions, signal?: AbortSignal): Promise<Duplex> {
  const [{ connect }, { readFileSync }] = await Promise.all([import("node:tls"), import("node:fs")]);
  const file = (path: string | undefined) => {
    try {
      return path === undefined ? undefined : readFileSync(path);
    } catch (error) {
      const why = errnoOf(error) === "ENOENT" ? "no such file or directory" : errorMessage(error);
      throw new EngineError("invalid", `unable to resolve docker endpoint: open ${path}: ${why}`, {
        cause: error,
        hint: "Name the files with --tlscacert, --tlscert and --tlskey, or their folder with DOCKER_CERT_PATH.",
      });
    }
  };
  const options = { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key) };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const socket = connect({
    host: endpoint.host,
    port: endpoint.port,
    rejectUnauthorized: tls.verify,
    ...(/^[\d.]+$|:/.test(endpoint.host) ? {} : { servername: endpoint.host }),
    ...given,
  });
  return await connected(socket, "secureConnect", signal);
}

const UNREACHABLE = new Set([
  "ENOENT",
  "ECONNREFUSED",
  "ENOTDIR",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

function dialError(endpoint: Endpoint, error: unknown): unknown {
  if (error instanceof EngineError) return error;
  const code = errnoOf(error);
  if (code === "EACCES" || code === "EPERM") {
    const where = hostText(endpoint);
    return new EngineError(
      "forbidden",
      `permission denied while trying to connect to the Docker daemon socket at ${where}`,
      {
        cause: error,
        hint: "Run it as root, or give your user the group that owns the socket.",
      },
    );
  }
  if (code !== undefined && UNREACHABLE.has(code)) {
    const why = endpoint.kind === "tcp" ? ` (${errorMessage(error)})` : "";
    return new EngineError(
      "unavailable",
      `Cannot connect to the Docker daemon at ${hostText(endpoint)}. Is the docker daemon running?${why}`,
      { cause: error },
    );
  }
  return error;
}
