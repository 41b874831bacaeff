/** The daemon's side of a connection of `gantry build`. */
import type { Duplex } from "node:stream";
import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { bytesOf, Mux } from "../../base/mux.ts";
import type { BuildEvent, BuildRequest, BuildResult, RegistryCredentials } from "../../builder/builder.ts";
import { makeExporter } from "../../builder/exporters/exporters.ts";
import { refuseTimes } from "../../builder/exporters/wish.ts";
import type { PreparedAttach } from "../../containers/containers.ts";
import type { Engine } from "../../engine/engine.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { BUILD_PROTOCOL, type BuildCall, type WireBuild, type WireBuildResult } from "../types/build.ts";
import { Asked } from "./asked.ts";
import { gather } from "./gather.ts";
import { BuildLines, failureLine } from "./lines.ts";
import { serveShell } from "./shell.ts";
import { verify } from "./verify.ts";
import { optionsOf, readWireBuild } from "./wire-request.ts";

export interface BuildSessionOptions {
  readonly engine: Engine;
  readonly credentials: Readonly<Record<string, RegistryCredentials>> | undefined;
}

/** Serves calls until the client closes the connection; what is under way then is cancelled. */
export function buildSession(options: BuildSessionOptions): PreparedAttach {
  return {
    raw: true,
    run: async (client) => {
      const over = new AbortController();
      const running = new Set<Promise<void>>();
      const mux: Mux = new Mux(client, {
        side: "server",
        onOpen: (channel, purpose) => {
          const serving = serve(channel, purpose, { ...options, asked: new Asked(mux), signal: over.signal });
          running.add(serving);
          void serving.finally(() => running.delete(serving));
        },
      });
      await mux.closed;
      over.abort(new EngineError("cancelled", "the client closed the connection"));
      await Promise.all(running);
    },
  };
}

export interface Serving extends BuildSessionOptions {
  readonly asked: Asked;
  readonly signal: AbortSignal;
}

/** Never rejects. */
async function serve(channel: Duplex, purpose: unknown, serving: Serving): Promise<void> {
  const lines = new BuildLines(channel);
  const controller = new AbortController();
  channel.once("close", () => controller.abort(new EngineError("cancelled", "the build was cancelled")));
  const signal = AbortSignal.any([serving.signal, controller.signal]);
  try {
    const call = callOf(purpose);
    if (call.call === "shell") await serveShell(call, channel, { ...serving, signal });
    else await serveBuild(call, lines, { ...serving, signal });
  } catch (error) {
    await lines.end(failureLine(error));
  }
  // Whoever opened the channel may leave its half open.
  void Array.fromAsync(bytesOf(channel)).catch(() => {});
}

function callOf(purpose: unknown): BuildCall {
  const { call, version } = (purpose ?? {}) as { call?: unknown; version?: unknown };
  if (version !== BUILD_PROTOCOL)
    throw new EngineError(
      "invalid",
      `the client speaks version ${String(version)} of the build protocol, this daemon ${BUILD_PROTOCOL}`,
      {
        hint: "Use a gantry of the daemon's version.",
      },
    );
  if (call === "build" || call === "check" || call === "verify" || call === "shell") return purpose as BuildCall;
  throw new EngineError("invalid", `there is no call ${JSON.stringify(call)}`);
}

async function serveBuild(
  { call, request }: Exclude<BuildCall, { call: "shell" }>,
  lines: BuildLines,
  serving: Serving,
): Promise<void> {
  const { signal } = serving;
  const { builder } = serving.engine;
  const wire = readWireBuild(request);
  await using stack = new AsyncDisposableStack();
  if (call === "check") return await check(wire, lines, serving, stack);
  const onProgress = (event: BuildEvent) => lines.event(event);
  const build = await requestOf(wire, serving, stack, transferEvents(onProgress));
  if (call === "verify") {
    const { result, differences } = await verify(builder, build, { signal, onProgress });
    return await lines.end({ result: { ...wireResult(result), differences } });
  }
  await lines.end({ result: wireResult(await builder.build(build, { signal, onProgress })) });
}

/** Only the Dockerfile is wanted: no file of a context is asked for where the client sends its text. */
async function check(wire: WireBuild, lines: BuildLines, serving: Serving, stack: AsyncDisposableStack): Promise<void> {
  const { target, buildArgs, dockerfile } = wire;
  const needed = dockerfile.text === undefined ? wire : { dockerfile };
  const build = await requestOf(needed, serving, stack, () => {});
  await lines.end({
    warnings: await serving.engine.builder.check({ ...build, target: target || undefined, buildArgs }),
  });
}

/** The request with its contexts here, and its secrets, agents and outputs at the client. */
async function requestOf(
  wire: WireBuild,
  serving: Serving,
  stack: AsyncDisposableStack,
  onTransfer: (context: string, bytes: number, total: number) => void,
): Promise<BuildRequest> {
  const { asked, engine, credentials, signal } = serving;
  const options = optionsOf(wire);
  for (const { attributes } of wire.exporters ?? []) refuseTimes(attributes, options.sourceDateEpoch);
  const exporters = (wire.exporters ?? []).map((spec, index) =>
    makeExporter(spec, (product, end) => asked.export(index, product, end)),
  );
  const { buildContexts: contexts, images } = engine;
  const gathered = await gather({ wire, asked, contexts, images, signal, stack, onTransfer });
  return {
    ...options,
    ...gathered,
    secrets: Object.fromEntries((wire.secrets ?? []).map((id) => [id, asked.secret(id)])),
    ssh: Object.fromEntries((wire.ssh ?? []).map((id) => [id, asked.ssh(id)])),
    exporters,
    credentials,
  };
}

/** Milliseconds between two events of one transfer. */
const TRANSFER_PAUSE = 100;

/** Files that come from the client, as vertices of their own: they come before there is a plan. */
function transferEvents(tell: (event: BuildEvent) => void): (context: string, bytes: number, total: number) => void {
  const began = new Map<string, number>();
  const told = new Map<string, number>();
  return (context, current, total) => {
    const digest = digestOf(`files of ${context}`);
    const startedAt = began.get(context) ?? Date.now();
    const completed = current >= total;
    const name = context === "" ? "[internal] receive build context" : `[context ${context}] receive from client`;
    const vertex = { digest, inputs: [], name, startedAt };
    if (!began.has(context)) tell({ type: "vertex", vertex });
    began.set(context, startedAt);
    if (!completed && Date.now() - (told.get(context) ?? 0) < TRANSFER_PAUSE) return;
    told.set(context, Date.now());
    tell({ type: "transfer", vertex: digest, id: "files", current, total, completed });
    if (completed) tell({ type: "vertex", vertex: { ...vertex, completedAt: Date.now() } });
  };
}

function wireResult({ images, target, metadata }: BuildResult): WireBuildResult {
  const shown = images.map(({ id, manifest, platform }) => ({ id, manifest, platform: formatPlatform(platform) }));
  return { images: shown, target, metadata };
}
