import { mkdirSync } from "node:fs";
import type { Digest } from "../../../base/digest.ts";
import { digestOf } from "../../../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../../../base/errors.ts";
import { removeFlatFolder } from "../../../base/files.ts";
import type { ContainerMount } from "../../../runtime/container-mounts.ts";
import type { Task } from "../../../runtime/runtime.ts";
import { startErrorExitCode } from "../../../runtime/start-errors.ts";
import type { Op, OpContext } from "../../graph/graph.ts";
import { cancelled } from "../../graph/slots.ts";
import type { Toolkit } from "../../toolkit.ts";
import { grown, type LayeredTree, layered, type Made, type Tree } from "../../tree.ts";
import { type Draft, ensureUnpacked, storeLayer, withDraft } from "../layers.ts";
import { type Command, follow, type Limits, launch } from "./launch.ts";
import { type NetworkWish, openNetwork, type StepNetwork } from "./sandbox.ts";
import { missingMountPoints, removeStubs } from "./stubs.ts";

export interface RunParameters {
  readonly command: Command;
  /** Given to the process, and no part of what the step is. */
  readonly extraEnv: readonly string[];
  readonly network: NetworkWish;
  readonly privileged: boolean;
  readonly limits: Limits;
  readonly latest: bigint | undefined;
  readonly mounts: readonly StepMount[];
}

/** Something that is mounted while the step runs. */
export interface StepMount {
  /** What of it makes the step another one; undefined: it fails. */
  key(inputs: readonly Tree[], context: OpContext): Promise<unknown>;
  /** Makes it ready. What it returns is let go of after the step. */
  open(inputs: readonly Tree[], context: OpContext, at: MountPlace): Promise<OpenMount>;
}

export interface MountPlace {
  readonly id: string;
  /** The step's root file system, mounted. */
  readonly rootfs: string;
}

export interface OpenMount extends AsyncDisposable {
  readonly mounts: readonly ContainerMount[];
  /** "NAME=value". */
  readonly env?: readonly string[] | undefined;
}

/** Told of a step that failed: whether its tree is to be kept, under its id. */
export type OnFailedRun = (failed: {
  readonly id: string;
  readonly op: RunOp;
  readonly inputs: readonly Tree[];
  readonly error: unknown;
}) => boolean;

/** A process that ended with another exit code than 0. */
export class RunFailure extends EngineError {
  readonly exitCode: number;
  /** Set by who keeps the state. */
  failedStep: string | undefined;

  constructor(message: string, exitCode: number, cause?: unknown) {
    super("invalid", message, { cause });
    this.exitCode = exitCode;
  }
}

/** A command run in a container that has no record, on the tree of its first input; the others are for its mounts. */
export class RunOp implements Op<Tree, Made> {
  readonly tools: Toolkit;
  readonly parameters: RunParameters;
  readonly #onFailed: OnFailedRun;

  constructor(tools: Toolkit, parameters: RunParameters, onFailed: OnFailedRun) {
    this.tools = tools;
    this.parameters = parameters;
    this.#onFailed = onFailed;
  }

  async key(inputs: readonly Tree[], context: OpContext): Promise<Digest> {
    const { command, network, privileged, limits, latest, mounts } = this.parameters;
    const { chainId } = layered(inputs[0]);
    const mountKeys = await Promise.all(mounts.map((mount) => mount.key(inputs, context)));
    const { shmSize, securityOptions, resources } = limits;
    const environment = { network, privileged, shmSize, securityOptions, ulimits: resources.Ulimits ?? [] };
    return digestOf(
      JSON.stringify(["run/1", chainId ?? "", command, environment, mountKeys, latest?.toString() ?? ""]),
    );
  }

  async run(inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const below = layered(inputs[0]);
    this.tools.runtime.prepare();
    await ensureUnpacked(this.tools, below, context.signal);
    let kept = false;
    const work = async (draft: Draft) => {
      try {
        return await this.#runIn(draft, below, inputs, context);
      } catch (error) {
        kept = errorKind(error) !== "cancelled" && this.#onFailed({ id: draft.id, op: this, inputs, error });
        throw error;
      }
    };
    return withDraft(this.tools, below.chainId, work, () => kept);
  }

  result(inputs: readonly Tree[], made: Made): Tree {
    return grown(layered(inputs[0]), made);
  }

  async #runIn(draft: Draft, below: LayeredTree, inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const { snapshots } = this.tools;
    const { id, tar } = draft;
    const { latest } = this.parameters;
    context.container(id);
    const { closed } = await withContainer(this.tools, { id, network: this.parameters.network }, async (place) => {
      await using stack = new AsyncDisposableStack();
      const mounts: ContainerMount[] = [];
      const env: string[] = [];
      for (const mount of this.parameters.mounts) {
        const opened = stack.use(await mount.open(inputs, context, place));
        mounts.push(...opened.mounts);
        env.push(...(opened.env ?? []));
      }
      const stubs = missingMountPoints(
        place.rootfs,
        mounts.map(({ target }) => target),
      );
      stack.defer(() => removeStubs(place.rootfs, stubs));
      return await this.#process(place, { mounts, env }, context);
    });
    const sealed = await snapshots.seal(id, { tar, latest, signal: context.signal });
    this.tools.background.add(closed);
    void closed.finally(() => this.tools.background.delete(closed));
    return await storeLayer(this.tools, draft, below.chainId, sealed, { latest });
  }

  async #process(
    place: ContainerPlace,
    given: { readonly mounts: readonly ContainerMount[]; readonly env: readonly string[] },
    context: OpContext,
  ): Promise<Task> {
    const { command, extraEnv, privileged, limits } = this.parameters;
    const env = [...extraEnv, ...command.env, ...given.env];
    const what = describe(command.args);
    try {
      const request = { ...place, command: { ...command, env }, limits, privileged, mounts: given.mounts };
      const task = await launch(this.tools, request);
      const { exitCode, oomKilled } = await follow(task, context.signal, context.log);
      if (exitCode === 0 && !context.signal.aborted) return task;
      await task.released;
      if (context.signal.aborted) throw cancelled(context.signal);
      const why = oomKilled ? " (out of memory)" : "";
      throw new RunFailure(`The command '${what}' returned a non-zero code: ${exitCode}${why}`, exitCode);
    } catch (error) {
      if (error instanceof RunFailure || errorKind(error) !== "invalid") throw error;
      throw new RunFailure(errorMessage(error), startErrorExitCode(error), error);
    }
  }
}

/** As the classic builder shows a command. */
function describe(args: readonly string[]): string {
  return args.join(" ");
}

export interface ContainerPlace extends MountPlace {
  readonly network: StepNetwork;
}

/**
 * Mounts a draft's tree and opens its network for the time of `work`, which gives the task that ran. When it resolves the tree is not mounted
 * any more; `closed` is when the network, the runtime's state and the bundle are gone too, for which nobody need wait; it never rejects.
 */
export async function withContainer(
  tools: Toolkit,
  { id, network }: { readonly id: string; readonly network: NetworkWish },
  work: (place: ContainerPlace) => Promise<Pick<Task, "released">>,
): Promise<{ readonly closed: Promise<void> }> {
  const { store, snapshots } = tools;
  const rootfs = store.paths.rootfs(id);
  mkdirSync(store.paths.bundle(id), { recursive: true, mode: 0o711 });
  const [opening, mounting] = await Promise.allSettled([
    openNetwork(tools, id, network),
    snapshots.mount(id, rootfs, { ephemeral: true }),
  ]);
  const end = async (released: Promise<void>) => {
    const network = tools.networks.close(id);
    await snapshots.unmount(rootfs);
    const bundle = released.then(() => removeFlatFolder(tools.store.paths.bundle(id)));
    return { closed: Promise.allSettled([network, bundle]).then((results) => tellFailures(tools, id, results)) };
  };
  let task: Pick<Task, "released">;
  try {
    if (opening.status === "rejected") throw opening.reason;
    if (mounting.status === "rejected") throw mounting.reason;
    task = await work({ id, rootfs, network: opening.value });
  } catch (error) {
    await (await end(Promise.resolve())).closed;
    throw error;
  }
  return end(task.released);
}

/** What could not be taken away is tried again at the engine's next start. */
function tellFailures({ logger }: Toolkit, id: string, results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results)
    if (result.status === "rejected")
      logger.log("warn", "what a build step held could not be let go of", {
        step: id,
        error: errorMessage(result.reason),
      });
}
