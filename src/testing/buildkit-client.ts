/** A client of BuildKit's interface for tests, in the part that Buildx has: it calls /grpc, and answers for its files on /session. */
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { Duplex, Readable, Writable } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { GrpcClient } from "../buildkit/grpc/client.ts";
import { type Method, serveGrpc, unary } from "../buildkit/grpc/server.ts";
import { StatusError } from "../buildkit/grpc/status.ts";
import { decode } from "../buildkit/protobuf/decode.ts";
import { encode } from "../buildkit/protobuf/encode.ts";
import type { MessageOf, PartOf } from "../buildkit/protobuf/message.ts";
import {
  CONTROL,
  Empty,
  type Exporter,
  SolveRequest,
  SolveResponse,
  StatusRequest,
  StatusResponse,
} from "../buildkit/wire/control.ts";
import {
  BRIDGE,
  BUILD_ID,
  GatewaySolveRequest,
  GatewaySolveResponse,
  PongResponse,
  ReturnRequest,
} from "../buildkit/wire/gateway.ts";
import {
  BytesMessage,
  DATA,
  FIN,
  GetSecretRequest,
  GetSecretResponse,
  METHODS,
  Packet,
  REQUEST,
  STAT,
  type Stat,
} from "../buildkit/wire/session.ts";

/** A socket's path, or where a daemon listens with TLS. */
export type Place = string | ConnectionOptions;

/** Takes a connection of the daemon over. */
export function takeOver(place: Place, path: string, headers: Record<string, string | string[]> = {}): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const wish = { method: "POST", path, headers: { Connection: "Upgrade", Upgrade: "h2c", ...headers } };
    const sent =
      typeof place === "string" ? request({ ...wish, socketPath: place }) : secureRequest({ ...place, ...wish, path });
    sent.once("error", reject).once("response", (response) => reject(new Error(`status ${response.statusCode}`)));
    sent.once("upgrade", (_, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket.on("error", () => {}));
    });
    sent.end();
  });
}

export interface TestFile {
  readonly path: string;
  readonly data?: string | Uint8Array | undefined;
  /** Go's os.FileMode; a plain file's by default. */
  readonly mode?: number | undefined;
  readonly linkname?: string | undefined;
  /** What the listing says in place of the data's length. */
  readonly size?: number | undefined;
}

export const FOLDER_MODE = 2 ** 31 + 0o755;

export interface TestSession {
  /** By the folders' names, each sorted as a walk gives it. */
  readonly folders?: Readonly<Record<string, readonly TestFile[]>> | undefined;
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** In place of what is said above. */
  readonly methods?: ReadonlyMap<string, Method> | undefined;
}

/** What the daemon asked of a session. */
export interface Asked {
  /** "context: a/b", one for each file whose bytes were asked for. */
  readonly files: string[];
  /** What came for each exporter. */
  readonly products: Map<string, Buffer>;
  /** Of the folders' calls. */
  readonly metadata: Record<string, unknown>[];
}

export interface OpenSession {
  readonly id: string;
  readonly asked: Asked;
  readonly connection: Duplex;
}

/** Within a call, where the place is a client of the control connection: as Bake does for what its targets share. */
export async function openSession(
  place: Place | GrpcClient,
  session: TestSession,
  sharedKey = "",
): Promise<OpenSession> {
  const id = randomUUID();
  const asked: Asked = { files: [], products: new Map(), metadata: [] };
  const methods = new Map([...methodsOf(session, asked), ...(session.methods ?? [])]);
  const headers = {
    "x-docker-expose-session-uuid": [id],
    "x-docker-expose-session-sharedkey": [sharedKey],
    "x-docker-expose-session-grpc-method": [...methods.keys()],
  };
  const connection =
    place instanceof GrpcClient ? withinCall(place, headers) : await takeOver(place, "/session", headers);
  void serveGrpc(connection, methods);
  return { id, asked, connection };
}

function withinCall(grpc: GrpcClient, metadata: Readonly<Record<string, readonly string[]>>): Duplex {
  const call = grpc.call(`${CONTROL}Session`, { metadata });
  async function* received(): AsyncGenerator<Uint8Array> {
    for await (const body of call.messages()) yield decode(BytesMessage, body).data;
  }
  const readable = Readable.from(received(), { objectMode: false });
  const writable = new Writable({
    write: (data: Buffer, _, done) => void call.send(encode(BytesMessage, { data })).then(() => done(), done),
    final: (done) => done(void call.end()),
  });
  const both = { readable, writable } as unknown as Parameters<typeof Duplex.from>[0];
  return Duplex.from(both)
    .on("error", () => {})
    .once("close", () => call[Symbol.dispose]());
}

function methodsOf({ folders = {}, secrets = {} }: TestSession, asked: Asked): [string, Method][] {
  const secret = unary(GetSecretRequest, GetSecretResponse, ({ id }) => {
    const data = secrets[id];
    if (data === undefined) throw new StatusError({ code: 5, message: `secret ${id}: not found` });
    return { data: Buffer.from(data) };
  });
  const diffCopy: Method = (requests, { metadata }) => {
    asked.metadata.push(metadata);
    const name = String(metadata["dir-name"]);
    const follow = [metadata.followpaths ?? []].flat().flatMap((one) => one.split(", "));
    const wanted = (folders[name] ?? []).filter(({ path }) => follow.length === 0 || follow.includes(path));
    return sendFiles(requests, wanted, (path) => asked.files.push(`${name}: ${path}`));
  };
  const send: Method = (requests, { metadata }) => {
    const keep = (product: Buffer) => asked.products.set(String(metadata["buildkit-attachable-exporter-id"]), product);
    return receive(requests, keep);
  };
  return [
    [METHODS.diffCopy, diffCopy],
    [METHODS.secret, secret],
    [METHODS.send, send],
  ];
}

/** Answers nothing. */
async function* receive(requests: AsyncIterable<Buffer>, keep: (product: Buffer) => void): AsyncGenerator<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const body of requests) parts.push(decode(BytesMessage, body).data);
  keep(Buffer.concat(parts));
  yield* [];
}

async function* sendFiles(
  requests: AsyncIterable<Buffer>,
  files: readonly TestFile[],
  told: (path: string) => void,
): AsyncGenerator<Buffer> {
  for (const file of files) yield encode(Packet, { type: STAT, stat: statOf(file) });
  yield encode(Packet, { type: STAT });
  for await (const body of requests) {
    const { type, id } = decode(Packet, body);
    if (type === FIN) {
      yield encode(Packet, { type: FIN });
      return;
    }
    if (type !== REQUEST) continue;
    told(files[id]?.path ?? "");
    const data = Buffer.from(files[id]?.data ?? "");
    for (let at = 0; at < data.length; at += 32_768)
      yield encode(Packet, { type: DATA, id, data: data.subarray(at, at + 32_768) });
    yield encode(Packet, { type: DATA, id });
  }
}

const statOf = ({ path, data = "", mode = 0o644, linkname = "", size }: TestFile): PartOf<typeof Stat> => ({
  path,
  mode,
  linkname,
  size: size ?? Buffer.from(data).length,
  modTime: 1_600_000_000_000_000_000n,
});

export interface TestBuild {
  readonly session: string;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  readonly exporters?: readonly PartOf<typeof Exporter>[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the frontend's result before it is returned. */
  readonly onResult?: ((result: MessageOf<typeof GatewaySolveResponse>) => void) | undefined;
}

/** A build as Buildx makes it: Solve without a frontend, which the client then runs through the gateway. */
export async function buildOn(grpc: GrpcClient, build: TestBuild): Promise<Readonly<Record<string, string>>> {
  const { session, attributes = {}, exporters = [], signal, onResult } = build;
  const ref = randomUUID();
  const options = { signal, metadata: { [BUILD_ID]: [ref] } };
  const solving = grpc.unary(`${CONTROL}Solve`, [SolveRequest, SolveResponse], { ref, session, exporters }, { signal });
  solving.catch(() => {});
  await grpc.unary(`${BRIDGE}Ping`, [Empty, PongResponse], {}, options);
  const solve = { frontend: "dockerfile.v0", frontendOpt: attributes, evaluate: true };
  const failed = await grpc.unary(`${BRIDGE}Solve`, [GatewaySolveRequest, GatewaySolveResponse], solve, options).then(
    (result) => onResult?.(result),
    (error: unknown) => error,
  );
  const error = failed instanceof StatusError ? failed.status : undefined;
  await grpc.unary(`${BRIDGE}Return`, [ReturnRequest, Empty], error === undefined ? {} : { error }, options);
  return (await solving).exporterResponse;
}

/** The status of a build to its end. */
export async function* statusOf(grpc: GrpcClient, ref: string): AsyncGenerator<MessageOf<typeof StatusResponse>> {
  using call = grpc.call(`${CONTROL}Status`);
  await call.send(encode(StatusRequest, { ref }));
  call.end();
  for await (const body of call.messages()) yield decode(StatusResponse, body);
}

export const openGrpc = async (place: Place): Promise<GrpcClient> => new GrpcClient(await takeOver(place, "/grpc"));
