/** Builds over a connection of their own: what the client asks for, and what it answers when the daemon asks back. */
import type { Duplex } from "node:stream";
import {
  BUILD_PROTOCOL,
  type BuildAsk,
  type BuildCall,
  type BuildLine,
  type CheckLine,
  type WireBuild,
  type WireBuildEvent,
  type WireBuildFailure,
  type WireBuildResult,
  type WireShell,
  type WireWarning,
} from "../api/types/build.ts";
import { EngineError, type ErrorKind } from "../base/errors.ts";
import { bytesOf, Mux } from "../base/mux.ts";
import { jsonDocuments } from "./json-stream.ts";
import type { Transport } from "./transport.ts";

/** Each answer is written to the channel; what throws is told to the daemon and fails the build there. */
export type BuildAnswers = {
  readonly [Ask in BuildAsk["ask"]]?: (ask: Extract<BuildAsk, { ask: Ask }>, channel: Duplex) => Promise<void>;
};

export interface BuildCallOptions {
  readonly answers: BuildAnswers;
  readonly onEvent?: ((event: WireBuildEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** X-Registry-Config. */
  readonly registryConfig?: string | undefined;
}

export interface BuildsClient {
  /** Throws BuildFailedError for a step that failed, EngineError for all else. */
  build(request: WireBuild, options: BuildCallOptions): Promise<WireBuildResult>;
  verify(request: WireBuild, options: BuildCallOptions): Promise<WireBuildResult>;
  check(request: WireBuild, options: BuildCallOptions): Promise<readonly WireWarning[]>;
  /** Resolves with the process's exit code. `resize` is called back with a function that tells the terminal's size. */
  shell(
    step: string,
    shell: WireShell,
    options: {
      readonly io: (channel: Duplex) => Promise<void>;
      readonly onResize: (resize: (rows: number, columns: number) => void) => void;
    },
  ): Promise<number>;
}

/** A step of the Dockerfile failed. */
export class BuildFailedError extends EngineError {
  readonly failure: WireBuildFailure;

  constructor(failure: WireBuildFailure) {
    super(failure.kind as ErrorKind, failure.message, { hint: failure.hint });
    this.name = "BuildFailedError";
    this.failure = failure;
  }
}

export function buildsClient(transport: Transport): BuildsClient {
  return {
    build: (request, options) => run(transport, { call: "build", version: BUILD_PROTOCOL, request }, options),
    verify: (request, options) => run(transport, { call: "verify", version: BUILD_PROTOCOL, request }, options),
    check: async (request, options) => {
      await using session = await connect(transport, options);
      const channel = session.call({ call: "check", version: BUILD_PROTOCOL, request });
      for await (const line of jsonDocuments<CheckLine>(bytesOf(channel))) {
        if ("failure" in line) throw failureOf(line.failure);
        return line.warnings;
      }
      throw gone();
    },
    shell: async (step, shell, { io, onResize }) => {
      let carried: Promise<void> | undefined;
      const answers: BuildAnswers = {
        shell: (_, channel) => {
          carried = io(channel);
          return carried;
        },
      };
      await using session = await connect(transport, { answers });
      const channel = session.call({ call: "shell", version: BUILD_PROTOCOL, step, shell });
      onResize((rows, columns) => channel.write(`${JSON.stringify({ rows, columns })}\n`));
      for await (const line of jsonDocuments<{ exitCode: number } | { failure: WireBuildFailure }>(bytesOf(channel))) {
        if ("failure" in line) throw failureOf(line.failure);
        await carried;
        return line.exitCode;
      }
      throw gone();
    },
  };
}

async function run(transport: Transport, call: BuildCall, options: BuildCallOptions): Promise<WireBuildResult> {
  await using session = await connect(transport, options);
  const channel = session.call(call);
  for await (const line of jsonDocuments<BuildLine>(bytesOf(channel))) {
    if ("event" in line) options.onEvent?.(line.event);
    else if ("failure" in line) throw failureOf(line.failure);
    else return line.result;
  }
  options.signal?.throwIfAborted();
  throw gone();
}

const gone = (): EngineError =>
  new EngineError("unavailable", "the daemon closed the connection before the build ended", {
    hint: "The daemon may have been stopped: see its log.",
  });

const failureOf = (failure: WireBuildFailure): EngineError =>
  failure.step === undefined
    ? new EngineError(failure.kind as ErrorKind, failure.message, { hint: failure.hint })
    : new BuildFailedError(failure);

interface Session extends AsyncDisposable {
  call(purpose: BuildCall): Duplex;
}

async function connect(
  transport: Transport,
  { answers, signal, registryConfig }: Pick<BuildCallOptions, "answers" | "signal" | "registryConfig">,
): Promise<Session> {
  const headers = registryConfig === undefined ? {} : { "X-Registry-Config": registryConfig };
  const { stream } = await transport.hijack("/gantry/build", { headers, signal }).catch((error: unknown) => {
    if (!(error instanceof EngineError) || error.kind !== "not-found") throw error;
    throw new EngineError("not-implemented", "this daemon does not know gantry build", {
      hint: "It is no gantryd, or an older one: use the docker CLI with it.",
      cause: error,
    });
  });
  const mux = new Mux(stream, {
    side: "client",
    onOpen: (channel, purpose) => void answer(answers, channel, purpose as BuildAsk),
  });
  return {
    call: (purpose) => mux.open(purpose),
    [Symbol.asyncDispose]: async () => {
      mux.close();
      stream.destroy();
      await mux.closed;
    },
  };
}

async function answer(answers: BuildAnswers, channel: Duplex, ask: BuildAsk): Promise<void> {
  try {
    const give = answers[ask.ask] as ((ask: BuildAsk, channel: Duplex) => Promise<void>) | undefined;
    if (give === undefined) throw new EngineError("not-implemented", `this client has no answer to ${ask.ask}`);
    await give(ask, channel);
  } catch (error) {
    channel.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
