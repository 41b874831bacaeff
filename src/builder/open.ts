import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import type { BuildCache } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import { familiarName } from "../oci/reference.ts";
import type { Paths } from "../store/paths.ts";
import { runBuild } from "./build/build.ts";
import { checkDockerfile } from "./build/warnings.ts";
import type { Builder, BuildRequest, BuildResult, PruneOptions, ShellOptions, ShellSession } from "./builder.ts";
import { DigestMemo } from "./cache/digests.ts";
import { CacheKeeper } from "./cache/keeper.ts";
import { CacheMounts } from "./cache/mounts.ts";
import { StepCache } from "./cache/steps.ts";
import type { Contexts } from "./context/contexts.ts";
import type { Warning } from "./dockerfile/language.ts";
import { parseDockerfile } from "./dockerfile/parse.ts";
import type { BaseState, Stage } from "./dockerfile/plan.ts";
import { planBuild } from "./dockerfile/plan-build.ts";
import { cancelled } from "./graph/slots.ts";
import { Solver } from "./graph/solver.ts";
import { FileWorkers } from "./ops/files/workers.ts";
import { FailedSteps } from "./ops/run/failed.ts";
import type { BuildEvent } from "./progress.ts";
import type { Toolkit } from "./toolkit.ts";
import type { Made, Tree } from "./tree.ts";

export interface BuilderParts extends Omit<Toolkit, "steps" | "digests" | "mounts" | "workers" | "background"> {
  /** Folders of contexts that are kept between builds: they count, and may be pruned. */
  readonly contexts?: Pick<Contexts, "records" | "remove"> | undefined;
}

/** A builder, and what `images` must ask before it removes anything. */
export interface OpenedBuilder {
  readonly builder: Builder;
  /** Whether the cache, or a build under way, needs this blob or layer. */
  keeps(digest: Digest): boolean;
}

/** Reads what is kept; takes away what a killed engine left. */
export function openBuilder({ contexts, ...parts }: BuilderParts): OpenedBuilder {
  const { store, snapshots, content } = parts;
  mkdirSync(store.paths.contextHashes, { recursive: true, mode: 0o700 });
  mkdirSync(store.paths.emptyFolder, { recursive: true });
  removeHashes(store.paths, new Set((contexts?.records() ?? []).map(({ id }) => id)));
  const isWhole = ({ layer, chainId }: Made) =>
    layer === undefined ||
    (content.info(layer.blob.digest) !== undefined && chainId !== undefined && snapshots.layer(chainId) !== undefined);
  const steps = new StepCache(store, isWhole);
  const digests = new DigestMemo(store);
  digests.retain((chainId) => snapshots.layer(chainId) !== undefined);
  const tools: Toolkit = {
    ...parts,
    steps,
    digests,
    mounts: new CacheMounts(store),
    workers: new FileWorkers(),
    background: new Set(),
  };
  return {
    builder: new LocalBuilder(tools, contexts),
    keeps: (digest) => steps.keeps(digest) || steps.isPinned(digest),
  };
}

/** Milliseconds. */
const MONTH = 30 * 24 * 3600_000;

/** What is known of contexts that are gone, and of programs' folders that nobody has built for a month. */
function removeHashes(paths: Paths, kept: ReadonlySet<string>): void {
  for (const name of readdirSync(paths.contextHashes)) {
    const file = paths.contextHash(name);
    const isRecent = name.startsWith("folder-") && Date.now() - statSync(file).mtimeMs < MONTH;
    if (!kept.has(name) && !isRecent) rmSync(file, { force: true });
  }
}

class LocalBuilder implements Builder {
  readonly #tools: Toolkit;
  readonly #solver: Solver<Tree, Made>;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #failed: FailedSteps;
  readonly #keeper: CacheKeeper;

  constructor(tools: Toolkit, contexts: BuilderParts["contexts"]) {
    this.#tools = tools;
    this.#failed = new FailedSteps(tools);
    this.#keeper = new CacheKeeper({ tools, contexts, failed: this.#failed });
    this.#solver = new Solver({ steps: tools.steps, slots: Math.max(8, 2 * tools.host.cpus) });
  }

  async build(
    request: BuildRequest,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onProgress?: ((event: BuildEvent) => void) | undefined;
    } = {},
  ): Promise<BuildResult> {
    if (this.#closing.signal.aborted) throw new EngineError("unavailable", "the engine is shutting down");
    const signal = AbortSignal.any([this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    const parts = { tools: this.#tools, solver: this.#solver, onFailed: this.#failed.keep };
    if (this.#running.size === 0) await this.#failed.clear();
    const running = runBuild(parts, request, { signal, onProgress: options.onProgress ?? (() => {}) });
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      throw errorKind(error) === "cancelled" || signal.aborted ? cancelled(signal) : error;
    } finally {
      this.#running.delete(running);
      await this.#keeper.enforce();
    }
  }

  async check({ dockerfile, target, buildArgs }: Parameters<Builder["check"]>[0]): Promise<readonly Warning[]> {
    const file = parseDockerfile(dockerfile.text, dockerfile.name);
    const stages = target === undefined || target === "" ? "all" : "needed";
    const baseOf = (stage: Stage) => this.#baseOf(stage);
    return checkDockerfile(planBuild(file, { target, buildArgs }), { stages, baseOf, ignored: dockerfile.ignored });
  }

  /** Of an image that is here: none is pulled for a check. */
  #baseOf({ base }: Stage): BaseState | undefined {
    if (base.kind !== "image") return undefined;
    try {
      const { config = {}, author } = this.#tools.images.get(familiarName(base.reference)).config;
      return { config, author };
    } catch (error) {
      if (errorKind(error) === "not-found" || errorKind(error) === "invalid") return undefined;
      throw error;
    }
  }

  shell(failedStep: string, options: ShellOptions): Promise<ShellSession> {
    return this.#failed.shell(failedStep, options);
  }

  prune(options: PruneOptions): Promise<{ readonly deleted: readonly string[]; readonly reclaimed: number }> {
    return this.#keeper.prune(options);
  }

  diskUsage(): BuildCache[] {
    return this.#keeper.usage();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
    await this.#failed.close();
    await this.#tools.workers.close();
  }
}
