/** What only the client has, asked for over its session: folders, archives, secrets, agents, logins; and where products go. */
import { Duplex, Readable, Writable } from "node:stream";
import { EngineError, errorKind } from "../../base/errors.ts";
import type { RegistryCredentials, SecretSource, SshSource } from "../../builder/builder.ts";
import type { CallOptions, ClientCall, GrpcClient } from "../grpc/client.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import { Empty } from "../wire/control.ts";
import {
  BytesMessage,
  CheckAgentRequest,
  CredentialsRequest,
  CredentialsResponse,
  GetSecretRequest,
  GetSecretResponse,
  METHODS,
} from "../wire/session.ts";
import { FileSync } from "./file-sync.ts";
import { headerValues } from "./header-values.ts";

export interface SessionFacts {
  readonly id: string;
  /** The same for the same folder of the same machine; may be empty. */
  readonly sharedKey: string;
  /** Paths of the methods that it answers. */
  readonly methods: ReadonlySet<string>;
}

export interface FolderWish {
  /** As the client knows it: "context", "dockerfile". */
  readonly name: string;
  /** Lines of .dockerignore. */
  readonly excludes?: readonly string[] | undefined;
  /** Only these, and what their links lead to. */
  readonly follow?: readonly string[] | undefined;
}

/** Bytes of a message that carries a part of a stream. */
const PIECE = 64 << 10;

export class Session {
  readonly facts: SessionFacts;
  readonly #connected: GrpcClient | undefined;

  /** Without a client it has nothing. */
  constructor(client: GrpcClient | undefined, facts: SessionFacts) {
    this.#connected = client;
    this.facts = facts;
  }

  /** Files are asked for by `use`; when it has ended the client is told so, which may fail: `use` itself sees to what it made. */
  async withFolder<T>(
    { name, excludes = [], follow = [] }: FolderWish,
    signal: AbortSignal,
    use: (files: FileSync) => Promise<T>,
  ): Promise<T> {
    this.#need(METHODS.diffCopy, "files");
    const metadata = headerValues({ "dir-name": [name], "exclude-patterns": excludes, followpaths: follow });
    using call = this.#client.call(METHODS.diffCopy, { signal, metadata });
    const files = new FileSync(call);
    const used = await use(files);
    await files.finish();
    return used;
  }

  /** What the client sends from its own input, by the path of a URL. */
  upload(path: string, signal: AbortSignal): Readable {
    this.#need(METHODS.pull, "its input");
    const metadata = { urlpath: [path], urlhost: ["buildkit-session"] };
    return Readable.from(this.#received(METHODS.pull, { signal, metadata }), { objectMode: false });
  }

  /** Undefined when the client has none of this name. */
  async secret(id: string, signal: AbortSignal): Promise<SecretSource | undefined> {
    if (!this.#offers(METHODS.secret)) return undefined;
    const data = await this.#orMissing(async () => {
      const answer = await this.#client.unary(
        METHODS.secret,
        [GetSecretRequest, GetSecretResponse],
        { id },
        { signal },
      );
      return answer.data;
    });
    return data === undefined ? undefined : { read: async () => data };
  }

  /** Undefined when the client forwards none of this name. */
  async agent(id: string, signal: AbortSignal): Promise<SshSource | undefined> {
    if (!this.#offers(METHODS.forwardAgent)) return undefined;
    const known = await this.#orMissing(() =>
      this.#client.unary(METHODS.checkAgent, [CheckAgentRequest, Empty], { id }, { signal }),
    );
    if (known === undefined) return undefined;
    const metadata = { "buildkit.ssh.id": [id] };
    return {
      connect: async (signal_) => duplexOf(this.#client.call(METHODS.forwardAgent, { signal: signal_, metadata })),
    };
  }

  /** As the client's configuration has them; undefined when it has none. */
  async credentials(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined> {
    if (!this.#offers(METHODS.credentials)) return undefined;
    const messages = [CredentialsRequest, CredentialsResponse] as const;
    const answer = await this.#orMissing(() => this.#client.unary(METHODS.credentials, messages, { host }, { signal }));
    if (answer === undefined || answer.secret === "") return undefined;
    const { username, secret } = answer;
    return username === "" ? { identityToken: secret } : { username, password: secret };
  }

  /** Sends a product; resolves when the client has written it. */
  async send(product: Readable, exporter: string, signal: AbortSignal): Promise<void> {
    using call = this.sending(exporter, signal);
    for await (const chunk of product as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; at += PIECE)
        await call.send(encode(BytesMessage, { data: chunk.subarray(at, at + PIECE) }));
    call.end();
    for await (const _ of call.messages());
    signal.throwIfAborted();
  }

  /** The client's receiver of one exporter's product. */
  sending(exporter: string, signal: AbortSignal): ClientCall {
    this.#need(METHODS.send, "products");
    return this.#client.call(METHODS.send, { signal, metadata: { "buildkit-attachable-exporter-id": [exporter] } });
  }

  get #client(): GrpcClient {
    if (this.#connected === undefined) throw new EngineError("invalid", "the build has no session");
    return this.#connected;
  }

  /** A session that does not say what it offers is asked. */
  #offers(method: string): boolean {
    const { methods } = this.facts;
    return this.#connected !== undefined && (methods.size === 0 || methods.has(method));
  }

  async *#received(path: string, options: CallOptions): AsyncGenerator<Uint8Array> {
    const call = this.#client.call(path, options);
    call.end();
    yield* bodiesOf(call);
  }

  async #orMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (["not-found", "not-implemented"].includes(errorKind(error))) return undefined;
      // Go's own errors have no code.
      if (error instanceof Error && /not found|unset ssh forward key/i.test(error.message)) return undefined;
      throw error;
    }
  }

  #need(method: string, what: string): void {
    if (this.#offers(method)) return;
    throw new EngineError("invalid", `the client's session does not offer ${what} (${method})`, {
      hint: "Build with docker buildx, docker compose or another client that has it.",
    });
  }
}

/** Of a build that came without one. */
export const NO_SESSION = new Session(undefined, { id: "", sharedKey: "", methods: new Set() });

/** Bytes both ways over a call, which is over with it. */
function duplexOf(call: ClientCall): Duplex {
  // What is destroyed before its first read never begins, and so never ends the call by itself.
  const readable = Readable.from(bodiesOf(call), { objectMode: false }).once("close", () => call[Symbol.dispose]());
  const writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      call.send(encode(BytesMessage, { data: chunk })).then(() => done(), done);
    },
    final(done) {
      call.end();
      done();
    },
  });
  return Duplex.from({ readable, writable } as unknown as Parameters<typeof Duplex.from>[0]);
}

async function* bodiesOf(call: ClientCall): AsyncGenerator<Uint8Array> {
  using _ = call;
  for await (const body of call.messages()) yield decode(BytesMessage, body).data;
}
