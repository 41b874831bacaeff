/** A gRPC client on a connection that the other side opened. */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import { EngineError, errorMessage } from "../../base/errors.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { Decoded, Fields, Message, Part } from "../protobuf/message.ts";
import { type Budget, connectionBudget, frame, messagesOf } from "./frames.ts";
import { errorOf } from "./status.ts";
import { drained, whenOver } from "./streams.ts";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly metadata?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** Bytes that the other side may send ahead of who reads them: of a call, of the connection. */
const CALL_WINDOW = 1 << 20;
const CONNECTION_WINDOW = 8 << 20;

/** Bytes of a call's metadata, which has a folder's ignored patterns: gRPC takes 16 MiB, nghttp2 sends 64 KiB when nobody says otherwise. */
const MAX_HEADERS = 4 << 20;

export class GrpcClient {
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #budget = connectionBudget();

  constructor(connection: Duplex) {
    const settings = { initialWindowSize: CALL_WINDOW, enablePush: false };
    const { connect } = process.getBuiltinModule("node:http2");
    this.#session = connect("http://session", {
      createConnection: () => connection,
      settings,
      maxSendHeaderBlockLength: MAX_HEADERS,
    });
    // It may be over by the time it is told of.
    this.#session.once("connect", () => {
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(CONNECTION_WINDOW);
    });
    this.closed = new Promise((resolve) => {
      this.#session.on("error", () => {}).once("close", () => resolve());
      whenOver(connection, () => this.#session.destroy());
    });
  }

  /** Throws a StatusError as the other side ended the call, "cancelled" when it is gone. */
  async unary<I extends Fields, O extends Fields>(
    path: string,
    [input, output]: readonly [Message<I>, Message<O>],
    request: Part<I>,
    options: CallOptions = {},
  ): Promise<Decoded<O>> {
    using call = this.call(path, options);
    await call.send(encode(input, request));
    call.end();
    let answer: Buffer | undefined;
    for await (const message of call.messages()) answer ??= message;
    if (answer === undefined) throw new EngineError("invalid", `the client did not answer ${path}`);
    return decode(output, answer);
  }

  call(path: string, { signal, metadata = {} }: CallOptions = {}): ClientCall {
    if (this.#session.closed || this.#session.destroyed) throw gone();
    const headers = {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(metadata as Record<string, string[]>),
    };
    return new ClientCall(this.#session.request(headers, { endStream: false }), { signal, budget: this.#budget });
  }

  close(): void {
    this.#session.destroy();
  }
}

const gone = (): EngineError => new EngineError("cancelled", "the client's session is over");

export class ClientCall implements Disposable {
  readonly #stream: ClientHttp2Stream;
  readonly #signal: AbortSignal | undefined;
  readonly #budget: Budget;
  readonly #abort = () => this[Symbol.dispose]();
  #status: Readonly<Record<string, unknown>> | undefined;

  constructor(
    stream: ClientHttp2Stream,
    { signal, budget }: { readonly signal: AbortSignal | undefined; readonly budget: Budget },
  ) {
    this.#stream = stream;
    this.#budget = budget;
    this.#signal = signal;
    const keep = (headers: IncomingHttpHeaders) => {
      if (headers["grpc-status"] !== undefined) this.#status = headers;
    };
    stream
      .on("response", keep)
      .on("trailers", keep)
      .on("error", () => {});
    if (signal?.aborted) this.#abort();
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** To its end. Throws as the other side ended the call. */
  async *messages(): AsyncGenerator<Buffer> {
    try {
      yield* messagesOf(this.#stream.iterator({ destroyOnReturn: false }), this.#budget);
    } catch (error) {
      this.#signal?.throwIfAborted();
      const status = this.#status === undefined ? undefined : errorOf(this.#status);
      throw (
        status ??
        (error instanceof EngineError
          ? error
          : new EngineError("cancelled", `the client's session ended: ${errorMessage(error)}`))
      );
    }
    this.#signal?.throwIfAborted();
    if (this.#status === undefined) throw gone();
    const error = errorOf(this.#status);
    if (error !== undefined) throw error;
  }

  /** Resolves when more may be sent. Throws "cancelled" when the other side is gone: nobody would take what follows. */
  async send(body: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#stream.destroyed || this.#stream.writableEnded) throw gone();
    if (!this.#stream.write(frame(body))) await drained(this.#stream);
  }

  end(): void {
    this.#stream.end();
  }

  /** Gives the call up when it is not over. */
  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#stream.close(8);
  }
}
