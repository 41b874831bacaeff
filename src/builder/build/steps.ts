/** From an evaluated instruction to an op and its further inputs. */
import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { canRunArchitecture } from "../../kernel/binfmt.ts";
import { formatPlatform, HOST_PLATFORM } from "../../oci/platform.ts";
import type { BuildRequest } from "../builder.ts";
import type { RunStep, Stage, Step, TransferStep } from "../dockerfile/plan.ts";
import type { Op } from "../graph/graph.ts";
import { CopyOp, type CopyParametersItem } from "../ops/copy.ts";
import { timeOf } from "../ops/layers.ts";
import { RunOp } from "../ops/run/run.ts";
import { FolderOp } from "../ops/workdir.ts";
import { grown, layered, type Made, type Tree } from "../tree.ts";
import { mountsOf } from "./mounts.ts";
import type { StageCompiler, TreeVertex } from "./stages.ts";

export interface PlannedOp {
  readonly op: Op<Tree, Made>;
  /** After the tree that the step lies on. */
  readonly inputs: readonly (TreeVertex | Promise<TreeVertex>)[];
}

/** `state`: the digest of the configuration with this step, and of its words. */
export function opOf(compiler: StageCompiler, stage: Stage, step: Step, state: Digest): PlannedOp {
  switch (step.kind) {
    case "RUN":
      return runOf(compiler, stage, step);
    case "COPY":
    case "ADD":
      return transferOf(compiler, stage, step);
    case "WORKDIR":
      return { op: new FolderOp(compiler.tools, { path: step.path, latest: compiler.orders.latest }), inputs: [] };
    default:
      return { op: new MetadataOp(state, compiler.orders.latest), inputs: [] };
  }
}

/** Nothing but a moment in history: kept, so that the same build gives the same image. */
class MetadataOp implements Op<Tree, Made> {
  readonly #state: Digest;
  readonly #latest: bigint | undefined;

  constructor(state: Digest, latest: bigint | undefined) {
    this.#state = state;
    this.#latest = latest;
  }

  async key(inputs: readonly Tree[]): Promise<Digest> {
    const { chainId } = layered(inputs[0]);
    return digestOf(JSON.stringify(["metadata/1", chainId ?? "", this.#state, this.#latest?.toString() ?? ""]));
  }

  async run(inputs: readonly Tree[]): Promise<Made> {
    const { chainId } = layered(inputs[0]);
    return { createdAt: timeOf(this.#latest), parent: chainId, chainId, size: 0 };
  }

  result(inputs: readonly Tree[], made: Made): Tree {
    return grown(layered(inputs[0]), made);
  }
}

function runOf(compiler: StageCompiler, stage: Stage, step: RunStep): PlannedOp {
  const { request, latest } = compiler.orders;
  const privileged = step.security === "insecure";
  const network = networkOf(compiler, step);
  refuseUnentitled(request, { privileged, hostNetwork: network === "host" });
  refuseForeign(stage);
  const { mounts, inputs } = mountsOf(compiler, stage, step);
  const op = new RunOp(
    compiler.tools,
    {
      command: { args: step.args, env: step.env, workdir: step.workdir, user: step.user },
      extraEnv: step.proxyEnv,
      network: { network, extraHosts: request.extraHosts ?? [] },
      privileged,
      limits: {
        resources: request.resources ?? {},
        shmSize: request.shmSize ?? 0,
        securityOptions: request.securityOptions ?? [],
      },
      latest,
      mounts,
    },
    compiler.onFailed,
  );
  return { op, inputs };
}

/** A command of another architecture runs only where an emulator is registered. */
function refuseForeign({ platform }: Stage): void {
  if (canRunArchitecture(platform.architecture, HOST_PLATFORM.architecture)) return;
  const [wanted, host] = [formatPlatform(platform), formatPlatform(HOST_PLATFORM)];
  throw new EngineError("invalid", `RUN steps for ${wanted} cannot run on this machine, which is ${host}`, {
    hint: `register an emulator with binfmt_misc (Debian: apt-get install qemu-user-static), or use FROM --platform=$BUILDPLATFORM for stages that run commands`,
  });
}

function networkOf({ tools, orders }: StageCompiler, step: RunStep): string {
  const asked = step.network === "default" ? (orders.request.network ?? "") : step.network;
  if (asked !== "" && asked !== "default") return asked;
  return tools.settings.network.bridge === "none" ? "none" : "bridge";
}

function refuseUnentitled(
  { entitlements = [], network }: BuildRequest,
  { privileged, hostNetwork }: { readonly privileged: boolean; readonly hostNetwork: boolean },
): void {
  const missing = [
    ...(privileged && !entitlements.includes("security.insecure") ? ["security.insecure"] : []),
    ...(hostNetwork && network !== "host" && !entitlements.includes("network.host") ? ["network.host"] : []),
  ];
  if (missing.length === 0) return;
  throw new EngineError(
    "forbidden",
    `granting entitlement ${missing[0]} is not allowed by build daemon configuration`,
    {
      hint: `allow it by --allow ${missing[0]}`,
    },
  );
}

function transferOf(compiler: StageCompiler, stage: Stage, step: TransferStep): PlannedOp {
  const inputs: (TreeVertex | Promise<TreeVertex>)[] = [];
  const items: CopyParametersItem[] = [];
  const select = (vertex: TreeVertex | Promise<TreeVertex>, patterns: readonly string[], unpack: boolean) => {
    inputs.push(vertex);
    const wish = { patterns, excludes: step.excludes, parents: step.parents };
    items.push({ kind: "selection", input: inputs.length, wish, unpack });
  };
  const paths = step.sources.flatMap((source) => (source.kind === "path" ? [patternOf(step, source)] : []));
  if (paths.length > 0) select(compiler.sources.vertex(step.from, stage, step.range), paths, unpacks(step, true));
  for (const source of step.sources) {
    if (source.kind === "inline") items.push({ kind: "inline", name: source.name, content: source.content });
    else if (source.kind === "url") {
      const { vertex, name } = compiler.sources.url(source.url, step);
      select(vertex, [escapePattern(name)], unpacks(step, false));
    } else if (source.kind === "git") select(compiler.sources.git(source.git, step), [source.git.subdir], false);
  }
  const { destination, chown, chmod, link } = step;
  const { latest } = compiler.orders;
  return { op: new CopyOp(compiler.tools, { items, destination, chown, chmod, link, latest }), inputs };
}

/** With --parents, "/./" says from where on folders are kept; elsewhere it says nothing. */
function patternOf(
  { parents }: TransferStep,
  { path, text }: { readonly path: string; readonly text: string },
): string {
  return parents && text.includes("/./") ? text.replace(/^\/+/, "") : path;
}

function unpacks({ kind, unpack }: TransferStep, byDefault: boolean): boolean {
  return kind === "ADD" && (unpack ?? byDefault);
}

/** So that it matches itself alone. */
function escapePattern(name: string): string {
  return name.replace(/[\\*?[]/g, "\\$&");
}
