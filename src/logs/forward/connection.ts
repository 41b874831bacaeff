/** Streams to log services. */
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { systemAuthorities } from "../../kernel/authorities.ts";

export type StreamAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "tls"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Milliseconds until a service that does not answer counts as out of reach. */
const CONNECT_TIMEOUT = 10_000;

export class Connection {
  readonly socket: Socket;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", (error) => {
      this.#failure ??= error;
    });
    // A service that hangs up may not have what was written last; what comes next goes over a new connection.
    const hungUp = () => {
      this.#failure ??= new Error("the log service hung up");
    };
    socket.on("end", hungUp).on("close", hungUp);
  }

  /** `tls.ca`: who is trusted instead of those whom this machine trusts. Rejects when there is no connection, or no trust. */
  static async open(address: StreamAddress, tls: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    const ca = address.kind === "tls" ? (tls.ca ?? (await systemAuthorities())) : undefined;
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const socket = socketTo(address, { ...tls, ca });
    const connection = new Connection(socket);
    const give = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    const abort = () => give(new Error("the attempt was given up"));
    const late = setTimeout(() => give(new Error("the log service does not answer")), CONNECT_TIMEOUT);
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", give);
    socket.once(address.kind === "tls" ? "secureConnect" : "connect", () => {
      socket.off("error", give);
      socket.setKeepAlive(true, 30_000);
      resolve(connection);
    });
    return promise.finally(() => {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
    });
  }

  /** Resolves when the kernel has the bytes; rejects when the connection is over, or after `timeout` milliseconds (0: none). */
  write(bytes: Buffer, timeout: number): Promise<void> {
    const { socket } = this;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const hungUp = () => reject(this.#failure ?? new Error("the log service hung up"));
    const late =
      timeout > 0 ? setTimeout(() => reject(new Error("the log service takes nothing")), timeout) : undefined;
    socket.once("close", hungUp);
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    return promise.finally(() => {
      clearTimeout(late);
      socket.off("close", hungUp);
    });
  }

  close(): void {
    // What the kernel has still goes out.
    this.socket.destroySoon();
  }
}

function socketTo(address: StreamAddress, tls: ConnectionOptions): Socket {
  if (address.kind === "unix") return connectTcp({ path: address.path });
  const { host, port } = address;
  if (address.kind === "tcp") return connectTcp({ host, port });
  return connectTls({ servername: host, ...tls, host, port });
}
