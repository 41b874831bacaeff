/**
 * The contract of BuildKit's interface: what Buildx, Bake and Compose speak, over connections that the API hands over.
 *
 *   control    POST /grpc: the client calls Control (workers, solve, status, cache, history) and LLBBridge, the side of a build that it runs
 *   session    POST /session: the client answers; it has the folders, secrets, agents and logins, and takes products
 *   job        one Control.Solve, by the client's Ref: begun by it, run by the LLBBridge calls that carry the same name, over with it
 *   frontend   "dockerfile.v0": what a job runs, on our own builder (builder/); the graphs of other frontends (LLB) are refused
 *
 * Buildx opens a session, calls Solve without a frontend, and as the frontend's caller on LLBBridge: Ping, Solve with the attributes of the
 * Dockerfile frontend, Return. Nothing is kept on the disk here but contexts (builder/context): a job ends with its connection.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { Builder, BuildRequest } from "../builder/builder.ts";
import type { Contexts } from "../builder/context/contexts.ts";
import type { Images } from "../images/images.ts";

export interface Buildkit {
  /** Serves calls until the connection is over; what is under way then is cancelled. */
  control(connection: Duplex): Promise<void>;
  /**
   * One build without a control connection: `POST /build?version=2`. The session, when there is one, is on a connection of its own.
   * Resolves with the image's id when all is done; errors are as the client is to read them.
   */
  build(
    request: PlainBuild,
    options: { readonly signal: AbortSignal; readonly onStatus: (status: Buffer) => void },
  ): Promise<string>;
  /** Throws "invalid" and "conflict" before anything is read of the connection. */
  session(headers: IncomingHttpHeaders): (connection: Duplex) => Promise<void>;
}

export interface PlainBuild {
  /** Empty: none. */
  readonly session: string;
  /** Of the Dockerfile frontend. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly exporters: readonly { readonly type: string; readonly attrs: Readonly<Record<string, string>> }[];
  /** The main context, a tar; without it the attributes or the session say what it is. */
  readonly body: Readable | undefined;
  readonly credentials: BuildRequest["credentials"];
}

export interface BuildkitParts {
  readonly builder: Builder;
  readonly contexts: Contexts;
  readonly images: Images;
  /** What the one worker says of itself. */
  worker(): Promise<WorkerFacts>;
}

export interface WorkerFacts {
  readonly id: string;
  readonly version: string;
  /** What "host-gateway" stands for, when that is known. */
  readonly hostGateway: string | undefined;
}
