/** BuildKit's interface, for Buildx, Bake, Compose and all that builds through them: both routes take the connection over. */
import type { Buildkit, WorkerFacts } from "../../buildkit/buildkit.ts";
import type { Engine } from "../../engine/engine.ts";
import { type Call, type Reply, type Route, route } from "../route.ts";

export const buildkitRoutes: readonly Route[] = [
  route("POST", "/grpc", { takesOver: "tcp", handle: grpc }),
  route("POST", "/session", { takesOver: "tcp", handle: session }),
];

async function grpc({ engine }: Call): Promise<Reply> {
  const { control } = await buildkitOf(engine);
  return { kind: "hijack", prepared: { raw: true, run: control } };
}

async function session({ engine, request }: Call): Promise<Reply> {
  const buildkit = await buildkitOf(engine);
  return { kind: "hijack", prepared: { raw: true, run: buildkit.session(request.headers) } };
}

const OPENED = new WeakMap<Engine, Promise<Buildkit>>();

/** Made when it is first asked for: most daemons that run never build. */
export function buildkitOf(engine: Engine): Promise<Buildkit> {
  const opened = OPENED.get(engine) ?? open(engine);
  OPENED.set(engine, opened);
  return opened;
}

async function open(engine: Engine): Promise<Buildkit> {
  const { openBuildkit } = await import("../../buildkit/open.ts");
  const { builder, buildContexts: contexts, images } = engine;
  return openBuildkit({ builder, contexts, images, worker: () => workerFacts(engine) });
}

async function workerFacts({ system, networks }: Engine): Promise<WorkerFacts> {
  const { ID, ServerVersion } = await system.info();
  const bridge = networks.list().find(({ Name }) => Name === "bridge");
  const hostGateway = bridge?.IPAM.Config?.find(({ Gateway }) => Gateway !== undefined)?.Gateway;
  return { id: ID, version: ServerVersion, hostGateway };
}
